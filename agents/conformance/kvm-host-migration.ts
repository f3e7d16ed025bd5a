import assert from 'node:assert/strict'
import { it } from 'node:test'
import { cleanMigration, migrateVm, prepareMigration, vmInfo } from '#agents/kvm-host/contract/vm.ts'
import { newUuid } from '#kernel'
import { type GetKvmHost, refused } from './kvm-host-fixture.ts'
import type { GetVm } from './kvm-host-vm.ts'

/** What one host alone can show of migration. */
export function declareMigrationTests(getHost: GetKvmHost, getVm: GetVm): void {
  it('expects a migration and forgets it, again without harm', async () => {
    const { client } = getHost()
    const migration = { vmUuid: newUuid(), migrationUuid: newUuid() }
    assert.deepEqual(await client.call(prepareMigration, migration), {})
    assert.deepEqual(await client.call(prepareMigration, migration), {})
    const clean = { ...migration, destroyIncoming: true }
    assert.deepEqual(await client.call(cleanMigration, clean), {})
    assert.deepEqual(await client.call(cleanMigration, clean), {})
  })

  it('runs on when its migration fails', async () => {
    const { client } = getHost()
    const { vmUuid } = getVm().vm
    const migration = { vmUuid, migrationUuid: newUuid() }
    const nowhere = { address: '127.0.0.1', port: 1 }
    const input = { ...migration, destination: nowhere, withStorage: false }
    await refused('a migration to nowhere', client.call(migrateVm, input))
    assert.deepEqual(await client.call(cleanMigration, { ...migration, destroyIncoming: false }), {})
    assert.equal((await client.call(vmInfo, { vmUuid })).state, 'Running')
  })
}
