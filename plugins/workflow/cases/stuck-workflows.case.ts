import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid, waitFor } from '#kernel'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { assertRefused, audit, type TestCloud } from '#testkit'
import { abandonWorkflow, queryWorkflow, retryWorkflow } from '../contract/apis.ts'
import { startStuckCloud } from './stuck-scene.ts'

interface Shown {
  readonly uuid: string
  readonly name: string
  readonly state: string
  readonly taskId: string
  readonly nodeUuid: string
  readonly error: { readonly code: string; readonly details: string }
  readonly steps: readonly {
    readonly name: string
    readonly undone: boolean
    readonly input?: unknown
    readonly undoError?: { readonly code: string; readonly details: string }
  }[]
}

const stuckOf = async (cloud: TestCloud) =>
  (await cloud.query(queryWorkflow, {
    conditions: [{ name: 'state', op: '=', value: 'Stuck' }],
  })) as unknown as Shown[]

test('a rollback whose host is away is shown as stuck with the reason, and finished by a retry when the host is back', async (t) => {
  const { cloud, hostsAreBack } = await startStuckCloud(t)
  const [shown, ...more] = await stuckOf(cloud)
  assert.ok(shown !== undefined && more.length === 0)
  assert.deepEqual([shown.name, shown.state, shown.nodeUuid], ['vm.create', 'Stuck', cloud.nodeUuid])
  assert.match(shown.error.details, /the light went out/)
  const failed = shown.steps.filter((step) => step.undoError !== undefined)
  assert.deepEqual(
    failed.map(({ undoError }) => [undoError?.code, undoError?.details]),
    [['SYS.1016', 'the host is away (on the host host1)']],
  )
  assert.ok(
    shown.steps.every((step) => step.input === undefined),
    'inputs may carry secrets',
  )

  const { uuid } = shown
  await assertRefused(
    cloud,
    retryWorkflow,
    { uuid },
    {
      code: 'SYS.1006',
      says: /^step boot of vm\.create still cannot be taken back: the host is away \(on the host host1\) \(\d+ more steps wait for it\)$/,
    },
  )
  assert.equal((await stuckOf(cloud)).length, 1)

  hostsAreBack()
  const { queues } = cloud.cloud.context
  const [vm] = await cloud.query(queryVmInstance)
  const gate = Promise.withResolvers<void>()
  const other = queues.run(`vm:${vm?.uuid}`, 'other work', () => gate.promise)
  // Also what nobody asked for waits, and both are one.
  const byItself = cloud.cloud.context.workflows.retryStuck()
  const retried = cloud.call(retryWorkflow, { uuid })
  const isWaiting = () =>
    queues
      .entries()
      .some(
        ({ key, label, running }) => key === `vm:${vm?.uuid}` && label === 'workflow.retryInTurn' && !running,
      )
  await waitFor('the retry to wait for other work on the VM', isWaiting)
  gate.resolve()
  await other
  assert.deepEqual(await retried, { outcome: 'rolled back', name: 'vm.create' })
  assert.deepEqual(await byItself, [])
  assert.deepEqual(await cloud.query(queryWorkflow), [])
  assert.deepEqual(await cloud.query(queryVmInstance), [])
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})

test('an abandoned workflow is gone, and the reply and the log tell what it left', async (t) => {
  const logged: [object, string][] = []
  const keep = (fields: object, message: string) => void logged.push([fields, message])
  const log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log }
  const { cloud, hostsAreBack } = await startStuckCloud(t, { log })
  const uuid = (await stuckOf(cloud))[0]?.uuid ?? ''
  const [vm] = await cloud.query(queryVmInstance)
  const reply = await cloud.call(abandonWorkflow, { uuid })
  assert.equal(reply.name, 'vm.create')
  const [first] = reply.left
  assert.equal(first?.step, 'boot')
  assert.equal(
    (first?.undoError as { details: string } | undefined)?.details,
    'the host is away (on the host host1)',
  )
  assert.match(JSON.stringify(first?.input), new RegExp(String(vm?.uuid)))
  assert.ok(reply.left.length > 1)
  const told = logged.find(([, message]) => message === 'a stuck workflow was abandoned')
  assert.deepEqual((told?.[0] as { left: unknown } | undefined)?.left, reply.left)
  assert.deepEqual(await cloud.query(queryWorkflow), [])
  hostsAreBack()
  await cloud.cloud.context.workflows.retryStuck()
  assert.equal((await cloud.query(queryVmInstance)).length, 1, 'what was left is nobody else’s to remove')
})

test('only what is stuck can be retried or abandoned', async (t) => {
  const { cloud, hostsAreBack } = await startStuckCloud(t)
  const uuid = newUuid()
  const says = /there is no unfinished workflow .*: it has ended, or never was/
  for (const api of [retryWorkflow, abandonWorkflow])
    await assertRefused(cloud, api, { uuid }, { code: 'SYS.1003', says })
  hostsAreBack()
  const [stuck] = await stuckOf(cloud)
  const both = await Promise.allSettled([
    cloud.call(retryWorkflow, { uuid: stuck?.uuid ?? '' }),
    cloud.call(abandonWorkflow, { uuid: stuck?.uuid ?? '' }),
  ])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
    'the second finds it gone',
  )
})
