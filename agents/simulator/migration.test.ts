import assert from 'node:assert/strict'
import { it } from 'node:test'
import { listVms } from '#agents/kvm-host/contract/host.ts'
import { createEmptyVolume, deletePath } from '#agents/kvm-host/contract/storage.ts'
import { cleanMigration, migrateVm, prepareMigration, startVm } from '#agents/kvm-host/contract/vm.ts'
import { createReadyHost, createSmallWorld, uuidOf, vmSpec, volumePath } from './small-world.ts'

const vmUuid = uuidOf(1)
const migrationUuid = uuidOf(99)

async function twoHosts() {
  const small = await createSmallWorld()
  const source = await createReadyHost(small, { address: '10.0.1.1' })
  const target = await createReadyHost(small, { address: '10.0.1.2' })
  await source.createVolume(1)
  await source.client.call(startVm, { vm: vmSpec(1) })
  const destination = { address: target.address, port: target.port }
  const migrate = (parts: { port?: number } = {}) =>
    source.client.call(migrateVm, {
      vmUuid,
      migrationUuid,
      destination: { ...destination, ...parts },
      withStorage: true,
    })
  const prepare = () => target.client.call(prepareMigration, { vmUuid, migrationUuid })
  return { source, target, migrate, prepare }
}

it('moves a running VM; a repeat after a lost answer finds none', async () => {
  const { source, target, migrate, prepare } = await twoHosts()
  const told: string[] = []
  for (const host of [source, target]) {
    host.subscribe(({ data }) => told.push(`${host.address} ${data.state} ${data.reason}`))
  }
  await target.createVolume(1)
  await prepare()
  source.knobs.failNext('migrateVm', 'lost', { after: true })
  await assert.rejects(migrate(), { details: 'lost' })
  await assert.rejects(migrate(), { code: 'SYS.1003' })
  assert.deepEqual(await source.client.call(listVms, {}), { vms: [] })
  assert.deepEqual(await target.client.call(listVms, {}), { vms: [{ vmUuid, state: 'Running' }] })
  assert.deepEqual(told, ['10.0.1.2 Running migrated', '10.0.1.1 Stopped migrated'])
  assert.equal(source.state.usedMemoryBytes, 0)
  await target.client.call(cleanMigration, { vmUuid, migrationUuid, destroyIncoming: true })
  assert.equal(target.state.vms.get(vmUuid)?.state, 'Running')
  // The disk is free here again.
  await source.client.call(startVm, { vm: vmSpec(2, { disks: vmSpec(1).disks }) })
})

it('runs on when the destination lacks something', async () => {
  const { source, target, migrate, prepare } = await twoHosts()
  await assert.rejects(migrate(), /does not expect/)
  await prepare()
  await assert.rejects(migrate(), /has no such file/)
  await target.client.call(createEmptyVolume, { installPath: volumePath(1), sizeBytes: 2 ** 20 })
  await assert.rejects(migrate(), /1048576 bytes, not 1073741824/)
  await target.client.call(deletePath, { path: volumePath(1) })
  await target.createVolume(1)
  target.state.bridges.clear()
  await assert.rejects(migrate(), /needs bridge br_eth0/)
  assert.equal(source.state.vms.get(vmUuid)?.state, 'Running')
  assert.deepEqual(await target.client.call(listVms, {}), { vms: [] })
})

it('runs on when the destination is dead, forgot it or listens elsewhere', async () => {
  const { source, target, migrate, prepare } = await twoHosts()
  await target.createVolume(1)
  await prepare()
  await assert.rejects(migrate({ port: 7071 }), { code: 'SYS.1016' })
  await target.client.call(cleanMigration, { vmUuid, migrationUuid, destroyIncoming: true })
  await assert.rejects(migrate(), /does not expect/)
  target.knobs.crash()
  await assert.rejects(migrate(), { code: 'SYS.1016' })
  assert.equal(source.state.vms.get(vmUuid)?.state, 'Running')
})

it('waits for a frozen destination', async () => {
  const { source, target, migrate, prepare } = await twoHosts()
  await target.createVolume(1)
  await prepare()
  target.knobs.freeze()
  const migrating = migrate()
  target.knobs.thaw()
  await migrating
  assert.equal(source.state.vms.size, 0)
})
