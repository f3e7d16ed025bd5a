import type { Client } from '#client'
import { queryBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { attachBackupStorageToZone } from '#plugins/backup-storage/contract/zone-apis.ts'
import { createCluster, queryCluster } from '#plugins/cluster/contract/apis.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { addImage, queryImage } from '#plugins/image/contract/apis.ts'
import { queryPrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import { attachPrimaryStorageToCluster } from '#plugins/primary-storage/contract/cluster-apis.ts'
import {
  addSimulatorBackupStorage,
  addSimulatorHost,
  addSimulatorPrimaryStorage,
} from '#plugins/simulator/contract/apis.ts'
import { createZone, queryZone } from '#plugins/zone/contract/apis.ts'
import { step } from '../progress.ts'
import { ensureNetwork } from './network.ts'
import { ensure, uuidOf } from './resources.ts'
import { ensureVm } from './vm.ts'

const GiB = 2 ** 30
const network = {
  startIp: '10.99.0.20',
  endIp: '10.99.255.250',
  netmask: '255.255.0.0',
  gateway: '10.99.0.1',
  dns: '10.99.0.2',
}
const imageUrl = 'http://images.example/guest.qcow2?size=67108864&actual=16777216'

/** A first cloud whose hosts and storages are simulated: everything but the guests is real. */
export async function buildSimulatorDemo(client: Client, hosts: number): Promise<{ summary: string[] }> {
  const zoneUuid = uuidOf(await ensure(client, queryZone, 'zone-1', createZone, { name: 'zone-1' }))
  const cluster = { name: 'cluster-1', zoneUuid, hypervisorType: 'Simulator' as const }
  const clusterUuid = uuidOf(await ensure(client, queryCluster, 'cluster-1', createCluster, cluster))
  const disks = { name: 'disks', zoneUuid, url: '/zstack_ps' }
  const storage = await ensure(
    client,
    queryPrimaryStorage,
    'disks',
    addSimulatorPrimaryStorage,
    disks as never,
  )
  if (!(storage.attachedClusterUuids as string[]).includes(clusterUuid)) {
    await client.call(attachPrimaryStorageToCluster, { primaryStorageUuid: uuidOf(storage), clusterUuid })
  }
  for (let i = 1; i <= hosts; i += 1) {
    const capacity = { memoryCapacity: 64 * GiB, cpuCapacity: 320 }
    const input = { name: `host${i}`, managementIp: `10.98.0.${10 + i}`, clusterUuid, ...capacity }
    await step(`simulated host host${i}`, () =>
      ensure(client, queryHost, `host${i}`, addSimulatorHost, input),
    )
  }
  const images = await ensure(client, queryBackupStorage, 'images', addSimulatorBackupStorage, {
    name: 'images',
    url: '/zstack_bs',
  })
  const backupStorageUuid = uuidOf(images)
  if (!((images.attachedZoneUuids as string[] | undefined) ?? []).includes(zoneUuid)) {
    await client.call(attachBackupStorageToZone, { backupStorageUuid, zoneUuid })
  }
  const l3 = await ensureNetwork(client, zoneUuid, clusterUuid, network)
  const picture = {
    name: 'guest',
    url: imageUrl,
    format: 'qcow2',
    mediaType: 'RootVolumeTemplate' as const,
    platform: 'Linux' as const,
  }
  const image = await ensure(client, queryImage, 'guest', addImage, {
    ...picture,
    backupStorageUuids: [backupStorageUuid],
  })
  const vm = await step('virtual machine', () => ensureVm(client, uuidOf(image), l3))
  const ip = String((vm.vmNics as { ip: string }[])[0]?.ip)
  return { summary: [`  ${hosts} simulated hosts; VM ${vm.name} is ${vm.state} with the address ${ip}`] }
}
