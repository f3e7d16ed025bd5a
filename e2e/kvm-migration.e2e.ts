/** Live migration between two private hosts, through their agents, with the disk and without. Needs root. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { DiskSpec } from '#agents/kvm-host/contract/vm.ts'
import { CloudError, newUuid, waitFor } from '#kernel'
import { booted, guestImage, makeRoot, nicOf, statesOf, vmOf } from './kvm-agent/guest.ts'
import { startTestHost, type TestHost } from './kvm-agent/test-host.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'

describe('live migration between two agents', { skip }, () => {
  let shared: string
  let image: string
  let a: TestHost
  let b: TestHost

  before(async () => {
    image = await guestImage()
    shared = mkdtempSync('/dev/shm/lv-')
    ;[a, b] = await Promise.all([startTestHost('lva', shared), startTestHost('lvb', shared)])
  })
  after(async () => {
    await a?.dispose()
    await b?.dispose()
    if (shared !== undefined) rmSync(shared, { recursive: true, force: true })
  })

  const vm = vmOf('traveller')
  const { vmUuid } = vm

  const to = (host: TestHost, more: object = {}) => ({
    vmUuid,
    migrationUuid: newUuid(),
    destination: { address: host.name, port: 7070 },
    withStorage: true,
    ...more,
  })

  test('a VM moves with its disk and runs on', async (t) => {
    await makeRoot(a, vm, image)
    await a.call('startVm', { vm })
    await booted(a, vm)
    await a.call('attachNic', { vmUuid, nic: nicOf(0) })
    await makeRoot(b, vm, image)
    const order = to(b)
    await b.call('prepareMigration', { vmUuid, migrationUuid: order.migrationUuid })
    const migration = a.start('migrateVm', order)
    const startedAtMs = Date.now()
    const { downtimeMs } = await migration.output
    t.diagnostic(
      `took ${Date.now() - startedAtMs} ms, downtime ${downtimeMs} ms, progress ${migration.progress}`,
    )
    assert.ok(downtimeMs !== undefined && downtimeMs < 5000, `downtime ${downtimeMs}`)
    await b.call('cleanMigration', { vmUuid, migrationUuid: order.migrationUuid, destroyIncoming: true })
    assert.deepEqual((await a.call('listVms', {})).vms, [])
    assert.deepEqual((await b.call('listVms', {})).vms, [{ vmUuid, state: 'Running' }])
    assert.deepEqual(statesOf(a, vmUuid), ['Running', 'Stopped/migrated'])
    assert.deepEqual(statesOf(b, vmUuid), ['Running/migrated'])
    assert.match(await b.run('ip', '-d', 'link', 'show', 'vnic7.0'), /master br_eth1/)
    for (const host of [a, b]) assert.equal(await host.run('ls', '/run/zstack/migration'), '')
    // What the guest wrote before is in the copy: it boots from it and counts one boot more.
    assert.deepEqual(await b.call('rebootVm', { vm, graceMs: 20_000 }), { state: 'Running' })
    await booted(b, vm)
    assert.match(readFileSync(`${b.directory}/log/zstack-vm/${vmUuid}.log`, 'latin1'), /GUEST-READY.*boots=2/)
  })

  test('without leave of the destination the VM stays, and the reason is the true one', async () => {
    await makeRoot(a, vm, image)
    const error = await b.call('migrateVm', to(a)).catch((e) => e)
    assert.ok(error instanceof CloudError)
    assert.match(error.details, /the tunnel to the agent at lva:7070 failed; the VM runs on here/)
    assert.match(String(error.cause), /was not announced to this host/)
    assert.deepEqual((await b.call('listVms', {})).vms, [{ vmUuid, state: 'Running' }])
    assert.deepEqual((await a.call('listVms', {})).vms, [])
  })

  test('a libvirt that refuses is quoted, and the VM stays', async () => {
    const order = to(a)
    await a.call('prepareMigration', { vmUuid, migrationUuid: order.migrationUuid })
    await a.run('rm', (vm.disks[0] as DiskSpec).installPath)
    await a.run('ip', 'link', 'set', 'br_eth1', 'name', 'br_other')
    const error = await b.call('migrateVm', order).catch((e) => e)
    await a.run('ip', 'link', 'set', 'br_other', 'name', 'br_eth1')
    assert.ok(error instanceof CloudError)
    assert.match(error.details, new RegExp(`cannot migrate VM ${vmUuid}; libvirt says: `))
    assert.deepEqual((await b.call('listVms', {})).vms, [{ vmUuid, state: 'Running' }])
    await a.call('cleanMigration', { vmUuid, migrationUuid: order.migrationUuid, destroyIncoming: true })
  })

  /** Waits until the memory of the guest is about to be sent: disks are copied by then. */
  async function halfWay(): Promise<void> {
    const jobInfo = () => b.run('virsh', 'domjobinfo', vmUuid)
    await waitFor('the migration to be half way', async () => /Memory total/.test(await jobInfo()), {
      timeoutMs: 20_000,
    })
  }

  test('a cancelled migration leaves the VM where it is', async () => {
    await makeRoot(a, vm, image)
    const order = to(a)
    await a.call('prepareMigration', { vmUuid, migrationUuid: order.migrationUuid })
    await a.run('touch', '/run/hold-migration')
    const migration = b.start('migrateVm', order)
    const failed = assert.rejects(migration.output, /was cancelled; the VM runs on here/)
    await halfWay()
    migration.abort()
    await failed
    await a.run('rm', '/run/hold-migration')
    assert.deepEqual((await b.call('listVms', {})).vms, [{ vmUuid, state: 'Running' }])
    await a.call('cleanMigration', { vmUuid, migrationUuid: order.migrationUuid, destroyIncoming: true })
    assert.deepEqual((await a.call('listVms', {})).vms, [])
  })

  test('the agent of the destination dies on the way: the VM stays', async () => {
    await makeRoot(a, vm, image)
    const order = to(a)
    await a.call('prepareMigration', { vmUuid, migrationUuid: order.migrationUuid })
    await a.run('touch', '/run/hold-migration')
    const failed = assert.rejects(
      b.call('migrateVm', order),
      /the tunnel to the agent at lva:7070 failed|libvirt says/,
    )
    await halfWay()
    await a.killAgent()
    await failed
    await a.run('rm', '/run/hold-migration')
    await a.startAgent()
    await a.call('cleanMigration', { vmUuid, migrationUuid: order.migrationUuid, destroyIncoming: true })
    assert.deepEqual((await b.call('listVms', {})).vms, [{ vmUuid, state: 'Running' }])
    assert.deepEqual((await a.call('listVms', {})).vms, [])
  })
})
