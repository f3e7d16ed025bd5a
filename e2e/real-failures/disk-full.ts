import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallInput } from '#client'
import { describeError } from '#kernel'
import { queryCluster } from '#plugins/cluster/contract/apis.ts'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { addLocalPrimaryStorage } from '#plugins/local-storage/contract/apis.ts'
import { deletePrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import {
  attachPrimaryStorageToCluster,
  detachPrimaryStorageFromCluster,
} from '#plugins/primary-storage/contract/cluster-apis.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { countRows, inventoryOfHosts, usedCapacity } from '../support/inventory.ts'
import type { Json, RealCloud } from '../support/real-cloud.ts'

const hosts = ['host1', 'host2']
const url = '/zstack_small'

/** A second storage of 64 MiB that somebody else has filled since its space was counted. */
export function declareDiskFull(
  getCloud: () => RealCloud,
  vm: () => Omit<CallInput<typeof createVmInstance>, 'name'>,
): void {
  test('a disk is full: the error says which, and nothing is left', async (t) => {
    const { client, lab } = getCloud()
    const onHosts = (script: string) =>
      Promise.all(hosts.map((name) => lab.host(name).exec(['sh', '-c', script])))
    const configure = (category: string, name: string, value: string) =>
      client.call(updateGlobalConfig, { category, name, value })
    const take = async () => [
      await inventoryOfHosts(lab, hosts),
      await countRows(client),
      await usedCapacity(client),
    ]
    const [cluster] = (await client.query(queryCluster, ['name=cluster-1'])).inventories
    const clusterUuid = String(cluster?.uuid)
    await onHosts(`mkdir -p ${url} && mount -t tmpfs -o size=64m tmpfs ${url}`)
    const atFirst = await take()
    await configure('primaryStorage', 'reservedCapacity', '0')
    await configure('mevoco', 'overProvisioning.primaryStorage', '10')
    const zoneUuid = String(cluster?.zoneUuid)
    const { inventory } = await client.call(addLocalPrimaryStorage, { name: 'small', zoneUuid, url })
    const primaryStorageUuid = String((inventory as Json).uuid)
    await client.call(attachPrimaryStorageToCluster, { primaryStorageUuid, clusterUuid })
    try {
      await onHosts(`dd if=/dev/zero of=${url}/filler bs=1M count=60 status=none`)
      const before = await take()
      const where = { primaryStorageUuidForRootVolume: primaryStorageUuid }
      const error = await client.call(createVmInstance, { ...vm(), name: 'big', ...where }).then(
        () => assert.fail('the VM was made on a full disk'),
        (reason: unknown) => describeError(reason),
      )
      t.diagnostic(error)
      assert.match(
        error,
        /zstack_small\/imagecache.* needs \d+ bytes, but only \d+ are free .*on the host host1/,
      )
      assert.deepEqual(await take(), before)
    } finally {
      await onHosts(`rm -f ${url}/filler`)
      await client.call(detachPrimaryStorageFromCluster, { primaryStorageUuid, clusterUuid })
      await client.call(deletePrimaryStorage, { uuid: primaryStorageUuid })
      await configure('primaryStorage', 'reservedCapacity', '1G')
      await configure('mevoco', 'overProvisioning.primaryStorage', '1.0')
    }
    assert.deepEqual(await take(), atFirst)
    await onHosts(`umount ${url}`)
  })
}
