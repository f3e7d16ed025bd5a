import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database } from '#db'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { convergeServices, vmKey } from '../contract/messages.ts'
import { startCloudWithVm } from './vm-scene.ts'

/** A database that answers nothing while `isAway` says so. */
function awayWhen(isAway: () => boolean) {
  const through = <T>(work: () => Promise<T>): Promise<T> =>
    isAway() ? Promise.reject(new CloudError(sysErrors.ioError, 'the database is away')) : work()
  return (db: Database): Database => ({
    ...db,
    all: (sql, params) => through(() => db.all(sql, params)),
    rows: (sql, params) => through(() => db.rows(sql, params)),
    write: (unit) => through(() => db.write(unit)),
  })
}

test('services that could not be put in order while the database was away are when it is back', async (t) => {
  let isAway = false
  const { cloud, dc, vm, host } = await startCloudWithVm(t, {}, {}, { wrap: awayWhen(() => isAway) })
  const { bus, queues } = cloud.cloud.context
  const leases = () => [...host.state.networks.values()].flatMap((network) => [...network.leases.keys()])
  const served = leases()
  assert.equal(served.length, 1)
  const turn = Promise.withResolvers<void>()
  const held = queues.run(vmKey(vm.uuid), 'held', () => turn.promise)
  const hostUuid = String(dc.hosts[0])
  // Nothing of the VM was served, somebody says.
  await bus.call(convergeServices, { hostUuid, nics: [] })
  for (const network of host.state.networks.values()) network.leases.clear()
  isAway = true
  turn.resolve()
  await held
  await waitFor('the queue of the VM is empty', () => !queues.keys().includes(vmKey(vm.uuid)))
  assert.deepEqual(leases(), [])
  isAway = false
  await waitFor('the VM is served again', () => leases().length > 0, { timeoutMs: 15_000 })
  assert.deepEqual(leases(), served)
})
