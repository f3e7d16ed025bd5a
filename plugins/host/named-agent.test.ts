import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentClient } from '#agent-rpc'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { CloudError, sysErrors } from '#kernel'
import { namedAgent } from './named-agent.ts'

test('a failure tells the host once, and keeps its code, its context and its cause', async () => {
  const cause = new Error('no space')
  let failure: Error = new CloudError(sysErrors.ioError, 'the disk is full', {
    cause,
    opaque: { path: '/x' },
  })
  const call: AgentClient['call'] = () => Promise.reject(failure)
  const agent = namedAgent(namedAgent({ call, close: () => {} }, 'node-7'), 'node-7')
  const details = 'the disk is full (on the host node-7)'
  const expected = { code: sysErrors.ioError.code, details, cause, opaque: { path: '/x' } }
  await assert.rejects(agent.call(kvmHostCalls.hostPing, {}), expected)
  failure = new TypeError('a bug')
  await assert.rejects(agent.call(kvmHostCalls.hostPing, {}), (error) => error === failure)
})
