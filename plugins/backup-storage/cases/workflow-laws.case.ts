import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { WorkflowMoment, WorkflowObserver } from '#workflow'
import { deleteBackupStorage, queryBackupStorage } from '../contract/apis.ts'
import { type StorageCloud, startStorageCloud } from './storage-cloud.ts'

async function withCloud(
  observe: WorkflowObserver,
  work: (env: StorageCloud) => Promise<void>,
): Promise<void> {
  const env = await startStorageCloud([], { observe })
  try {
    await work(env)
    assert.deepEqual(await env.cloud.context.workflows.unfinished(), [])
  } finally {
    await env.stop()
  }
}

/** Makes one step fail once, before or after its effect, and every undo run twice. */
function failingOnce(step: string, phase: WorkflowMoment['phase']): WorkflowObserver {
  let left = 1
  return async (moment) => {
    if (moment.step === step && moment.phase === phase && left-- > 0) throw new Error(`injected into ${step}`)
    return moment.phase === 'undone' ? 'repeat' : undefined
  }
}

const phases = ['journalled', 'ran'] as const
const statuses = async (env: StorageCloud) => (await env.list(queryBackupStorage)).map(({ status }) => status)

describe('laws of the backup storage workflows', () => {
  for (const phase of phases) {
    for (const step of ['insert-backup-storage', 'connect-backup-storage', 'mark-connected']) {
      it(`adding leaves nothing when ${step} fails at ${phase}`, () =>
        withCloud(failingOnce(step, phase), async (env) => {
          await assert.rejects(env.addStorage(), new RegExp(`injected into ${step}`))
          assert.deepEqual(await statuses(env), [])
          const isConnectReached = step !== 'insert-backup-storage'
          assert.equal(env.forgotten.length > 0, isConnectReached)
        }))
    }

    for (const step of ['close-backup-storage', 'remove-agent-and-rows']) {
      it(`a deletion that failed in ${step} at ${phase} can be repeated`, () =>
        withCloud(failingOnce(step, phase), async (env) => {
          const { uuid } = await env.addStorage()
          await assert.rejects(env.call(deleteBackupStorage, { uuid }), new RegExp(`injected into ${step}`))
          const isGone = step === 'remove-agent-and-rows' && phase === 'ran'
          assert.deepEqual(await statuses(env), isGone ? [] : ['Connected'])
          await env.call(deleteBackupStorage, { uuid })
          assert.deepEqual(await statuses(env), [])
        }))
    }
  }

  it('every step may run twice', () =>
    withCloud(
      async () => 'repeat' as const,
      async (env) => {
        const { uuid } = await env.addStorage()
        assert.deepEqual(await statuses(env), ['Connected'])
        await env.call(deleteBackupStorage, { uuid })
        assert.deepEqual(await statuses(env), [])
      },
    ))
})
