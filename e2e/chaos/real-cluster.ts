import type { Lab } from '#lab/lab.ts'
import { attachBackupStorageToZone } from '#plugins/backup-storage/contract/zone-apis.ts'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { addImage } from '#plugins/image/contract/apis.ts'
import { addKVMHost } from '#plugins/kvm/contract/apis.ts'
import { createL2NoVlanNetwork } from '#plugins/l2-network/contract/apis.ts'
import { attachL2NetworkToCluster } from '#plugins/l2-network/contract/cluster-apis.ts'
import { createL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import { addLocalPrimaryStorage } from '#plugins/local-storage/contract/apis.ts'
import {
  attachNetworkServiceToL3Network,
  queryNetworkServiceProvider,
} from '#plugins/network-service/contract/apis.ts'
import { createDiskOffering } from '#plugins/offering/contract/disk-offering-apis.ts'
import { createInstanceOffering } from '#plugins/offering/contract/instance-offering-apis.ts'
import { attachPrimaryStorageToCluster } from '#plugins/primary-storage/contract/cluster-apis.ts'
import { addSftpBackupStorage } from '#plugins/sftp/contract/apis.ts'
import { serveImage } from '../support/serve-image.ts'
import type { Builder } from './builder.ts'
import type { Scene } from './operations.ts'
import { imageDirectory, volumeDirectory } from './real-hosts.ts'

const MiB = 2 ** 20

/** A cluster of the lab's hosts in the same zone, with a storage, an image server, an image and a network of its own. */
export async function buildRealCluster(build: Builder, lab: Lab, dc: Scene['dc']): Promise<Scene['dc']> {
  const { create } = build
  const zoneUuid = dc.zone
  const clusterUuid = await create(createCluster, { name: 'real', zoneUuid, hypervisorType: 'KVM' })
  const directory = { name: 'real-disks', zoneUuid, url: volumeDirectory }
  const primaryStorageUuid = await create(addLocalPrimaryStorage, directory)
  await create(attachPrimaryStorageToCluster, { primaryStorageUuid, clusterUuid })
  const hosts: string[] = []
  for (const { name } of (await lab.status()).hosts) {
    const { address, user: username, password } = lab.host(name)
    hosts.push(await create(addKVMHost, { name, managementIp: address, clusterUuid, username, password }))
  }
  const { image, backupStorage } = await fetchImage(build, lab, zoneUuid)
  const network = await buildNetwork(build, zoneUuid, clusterUuid)
  // The guest needs 80 MiB.
  const small = { name: 'real-tiny', cpuNum: 1, memorySize: 96 * MiB }
  const instanceOffering = await create(createInstanceOffering, small)
  const diskOffering = await create(createDiskOffering, { name: 'real-disk', diskSize: 64 * MiB })
  const own = { cluster: clusterUuid, hosts, primaryStorage: primaryStorageUuid, backupStorage, image }
  return { ...dc, ...own, ...network, instanceOffering, diskOffering }
}

async function fetchImage({ create }: Builder, lab: Lab, zoneUuid: string) {
  const { address: hostname, user: username, password } = lab.host('host1')
  const server = { name: 'real-images', hostname, username, password, url: imageDirectory }
  const backupStorage = await create(addSftpBackupStorage, server)
  await create(attachBackupStorageToZone, { backupStorageUuid: backupStorage, zoneUuid })
  const { url, stop } = await serveImage(lab)
  try {
    const picture = { name: 'real-image', url, format: 'qcow2', backupStorageUuids: [backupStorage] }
    const kind = { mediaType: 'RootVolumeTemplate', platform: 'Linux' }
    return { backupStorage, image: await create(addImage, { ...picture, ...kind }) }
  } finally {
    await stop()
  }
}

async function buildNetwork({ create, query }: Builder, zoneUuid: string, clusterUuid: string) {
  const l2 = await create(createL2NoVlanNetwork, { name: 'real-l2', zoneUuid, physicalInterface: 'eth1' })
  await create(attachL2NetworkToCluster, { l2NetworkUuid: l2, clusterUuid })
  const l3 = await create(createL3Network, { name: 'real-l3', l2NetworkUuid: l2 })
  const range = {
    startIp: '10.99.0.20',
    endIp: '10.99.0.250',
    netmask: '255.255.255.0',
    gateway: '10.99.0.1',
  }
  await create(addIpRange, { l3NetworkUuid: l3, name: 'real-range', ...range })
  const [provider] = await query(queryNetworkServiceProvider, ['type=Flat'])
  const networkServices = { [String(provider?.uuid)]: ['DHCP', 'Userdata'] }
  await create(attachNetworkServiceToL3Network, { l3NetworkUuid: l3, networkServices })
  return { l2, l3 }
}
