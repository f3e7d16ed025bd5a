import assert from 'node:assert/strict'
import { test } from 'node:test'
import { find } from '#db'
import { newUuid, waitFor } from '#kernel'
import { workEntries } from '#plugin-host'
import { queryManagementNode } from '#plugins/management-node/contract/apis.ts'
import { managementNode } from '#plugins/management-node/contract/resources.ts'
import { beat } from '#plugins/management-node/handlers.ts'
import { startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { rebootVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'

test('a heartbeat tells how much there is to do, and any query can ask for it', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const { context } = cloud.cloud
  const hold = host.knobs.hold('stopVm')
  t.after(() => hold.release())
  const stop = cloud.call(stopVmInstance, { uuid: vm.uuid })
  await hold.waiting
  const reboot = cloud.call(rebootVmInstance, { uuid: vm.uuid })
  await waitFor('the reboot to wait', () => workEntries(context).some((entry) => !entry.running))
  await beat(context as never)
  const conditions = [{ name: 'runningJobs', op: '>=', value: '1' } as const]
  const [node] = await cloud.query(queryManagementNode, { conditions })
  assert.deepEqual(
    [node?.version, node?.ringShare, node?.runningJobs, node?.waitingJobs, node?.queueDepth],
    ['test', 100, 1, 1, 1],
  )
  assert.ok(Number(node?.memoryBytes) > 2 ** 20 && Number(node?.eventLoopLagMs) >= 0)
  hold.release()
  await Promise.all([stop, reboot.catch(() => 'refused: it is stopped')])
  await beat(context as never)
  const [quiet] = await find(context.db, managementNode, {})
  assert.deepEqual([quiet?.runningJobs, quiet?.waitingJobs, quiet?.queueDepth], [0, 0, 0])
})

test('the row of a node that tells no facts is shown without them', async (t) => {
  const { cloud } = await startCloudWithVm(t)
  const old = { uuid: newUuid(), hostName: '10.0.0.9', joinDate: 1, heartBeat: 2 }
  const { db } = cloud.cloud.context
  const columns = Object.keys(old).join(',')
  await db.write((tx) =>
    tx.run(`INSERT INTO ManagementNodeVO (${columns}) VALUES (?,?,?,?)`, Object.values(old)),
  )
  const nodes = await cloud.query(queryManagementNode)
  assert.deepEqual(
    nodes.find((node) => node.uuid === old.uuid),
    old,
  )
})
