import { attachBackupStorageToZone } from '#plugins/backup-storage/contract/zone-apis.ts'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { addImage } from '#plugins/image/contract/apis.ts'
import { createL2NoVlanNetwork } from '#plugins/l2-network/contract/apis.ts'
import { attachL2NetworkToCluster } from '#plugins/l2-network/contract/cluster-apis.ts'
import { createL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import {
  attachNetworkServiceToL3Network,
  queryNetworkServiceProvider,
} from '#plugins/network-service/contract/apis.ts'
import { createDiskOffering } from '#plugins/offering/contract/disk-offering-apis.ts'
import { createInstanceOffering } from '#plugins/offering/contract/instance-offering-apis.ts'
import { attachPrimaryStorageToCluster } from '#plugins/primary-storage/contract/cluster-apis.ts'
import {
  addSimulatorBackupStorage,
  addSimulatorHost,
  addSimulatorPrimaryStorage,
} from '#plugins/simulator/contract/apis.ts'
import { createZone } from '#plugins/zone/contract/apis.ts'
import type { TestCloud } from './cloud.ts'

/** Uuids of a simulated data centre ready for VMs. */
export interface DataCenter {
  readonly zone: string
  readonly cluster: string
  readonly hosts: readonly string[]
  readonly primaryStorage: string
  readonly backupStorage: string
  readonly image: string
  readonly l2: string
  readonly l3: string
  readonly instanceOffering: string
  readonly diskOffering: string
}

export interface DataCenterSize {
  readonly hosts?: number
  readonly hostMemoryBytes?: number
  readonly hostCpus?: number
  readonly startIp?: string
  readonly endIp?: string
  readonly netmask?: string
  readonly gateway?: string
}

const GiB = 2 ** 30

/** Builds zone, cluster, hosts, storage, image, network with DHCP and user data, and offerings: 1 CPU and 128 MiB, 1 GiB disks. */
export async function buildDataCenter(
  cloud: Pick<TestCloud, 'call' | 'query'>,
  size: DataCenterSize = {},
): Promise<DataCenter> {
  const zone = uuidOf(await cloud.call(createZone, { name: 'zone' }))
  const cluster = uuidOf(
    await cloud.call(createCluster, { name: 'cluster', zoneUuid: zone, hypervisorType: 'Simulator' }),
  )
  const url = '/zstack_ps'
  const primaryStorage = uuidOf(
    await cloud.call(addSimulatorPrimaryStorage, { name: 'ps', url, zoneUuid: zone }),
  )
  await cloud.call(attachPrimaryStorageToCluster, {
    primaryStorageUuid: primaryStorage,
    clusterUuid: cluster,
  })
  const hosts: string[] = []
  for (let i = 0; i < (size.hosts ?? 1); i += 1) {
    const memoryCapacity = size.hostMemoryBytes ?? 64 * GiB
    const cpuCapacity = (size.hostCpus ?? 64) * 10
    const managementIp = `10.1.${Math.floor(i / 250)}.${(i % 250) + 1}`
    hosts.push(
      uuidOf(
        await cloud.call(addSimulatorHost, {
          name: `host${i + 1}`,
          managementIp,
          clusterUuid: cluster,
          memoryCapacity,
          cpuCapacity,
        }),
      ),
    )
  }
  const backupStorage = uuidOf(await cloud.call(addSimulatorBackupStorage, { name: 'bs', url: '/zstack_bs' }))
  await cloud.call(attachBackupStorageToZone, { backupStorageUuid: backupStorage, zoneUuid: zone })
  const picture = {
    name: 'image',
    url: 'http://images.example/tiny.qcow2?size=67108864&actual=16777216',
    format: 'qcow2',
  }
  const image = uuidOf(
    await cloud.call(addImage, {
      ...picture,
      mediaType: 'RootVolumeTemplate',
      platform: 'Linux',
      backupStorageUuids: [backupStorage],
    }),
  )
  const network = await buildNetwork(cloud, zone, cluster, size)
  const instanceOffering = uuidOf(
    await cloud.call(createInstanceOffering, { name: 'tiny', cpuNum: 1, memorySize: GiB / 8 }),
  )
  const diskOffering = uuidOf(await cloud.call(createDiskOffering, { name: 'disk', diskSize: GiB }))
  return {
    zone,
    cluster,
    hosts,
    primaryStorage,
    backupStorage,
    image,
    ...network,
    instanceOffering,
    diskOffering,
  }
}

async function buildNetwork(
  cloud: Pick<TestCloud, 'call' | 'query'>,
  zoneUuid: string,
  clusterUuid: string,
  size: DataCenterSize,
) {
  const l2 = uuidOf(
    await cloud.call(createL2NoVlanNetwork, { name: 'l2', zoneUuid, physicalInterface: 'eth1' }),
  )
  await cloud.call(attachL2NetworkToCluster, { l2NetworkUuid: l2, clusterUuid })
  const l3 = uuidOf(await cloud.call(createL3Network, { name: 'l3', l2NetworkUuid: l2 }))
  await cloud.call(addIpRange, {
    l3NetworkUuid: l3,
    name: 'range',
    startIp: size.startIp ?? '10.99.0.10',
    endIp: size.endIp ?? '10.99.255.250',
    netmask: size.netmask ?? '255.255.0.0',
    gateway: size.gateway ?? '10.99.0.1',
  })
  const [provider] = await cloud.query(queryNetworkServiceProvider, {
    conditions: [{ name: 'type', op: '=', value: 'Flat' }],
  })
  const networkServices = { [String(provider?.uuid)]: ['DHCP', 'Userdata'] }
  await cloud.call(attachNetworkServiceToL3Network, { l3NetworkUuid: l3, networkServices })
  return { l2, l3 }
}

function uuidOf(reply: { inventory?: unknown }): string {
  return String((reply.inventory as { uuid: string }).uuid)
}
