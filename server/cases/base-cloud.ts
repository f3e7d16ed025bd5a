import { createL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import { attachNetworkServiceToL3Network } from '#plugins/network-service/contract/apis.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm } from '#plugins/volume/contract/attachment-apis.ts'
import { type Arrangement, arrange, buildDataCenter, type Place, type TestCloud } from '#testkit'

/** What every scenario starts from: two hosts that both run a VM, a volume attached to one, a spare volume, a second network. */
export function arrangeBase(): Promise<Arrangement> {
  return arrange(undefined, async (cloud) => {
    const { hosts, ...dc } = await buildDataCenter(cloud, { hosts: 2 })
    const [host = '', otherHost = ''] = hosts
    const vm = await addVm(cloud, dc, { name: 'vm', hostUuid: host, systemTags: ['hostname::first'] })
    const otherVm = await addVm(cloud, dc, { name: 'other', hostUuid: otherHost })
    const attached = await addVolume(cloud, dc, 'attached')
    await cloud.call(attachDataVolumeToVm, { volumeUuid: attached, vmInstanceUuid: vm })
    const spare = await addVolume(cloud, dc, 'spare')
    const otherL3 = await addNetwork(cloud, dc.l2)
    return { ...dc, host, otherHost, vm, otherVm, attached, spare, otherL3 }
  })
}

export async function addVm(cloud: TestCloud, place: Place, more: Record<string, unknown>): Promise<string> {
  const { instanceOffering, image, l3 } = place
  const input = {
    name: 'vm',
    instanceOfferingUuid: instanceOffering,
    imageUuid: image,
    l3NetworkUuids: [l3],
    ...more,
  }
  return uuidOf(await cloud.call(createVmInstance, input as never))
}

export async function addVolume(cloud: TestCloud, place: Place, name: string, primaryStorageUuid?: string) {
  const input = { name, diskOfferingUuid: place.diskOffering, primaryStorageUuid }
  return uuidOf(await cloud.call(createDataVolume, input as never))
}

async function addNetwork(cloud: TestCloud, l2NetworkUuid: string): Promise<string> {
  const l3NetworkUuid = uuidOf(await cloud.call(createL3Network, { name: 'other', l2NetworkUuid } as never))
  const range = {
    startIp: '10.77.0.10',
    endIp: '10.77.0.99',
    netmask: '255.255.255.0',
    gateway: '10.77.0.1',
  }
  await cloud.call(addIpRange, { l3NetworkUuid, name: 'range', ...range } as never)
  await cloud.call(attachNetworkServiceToL3Network, {
    l3NetworkUuid,
    networkServices: { Flat: ['DHCP', 'Userdata'] },
  })
  return l3NetworkUuid
}

export function uuidOf(reply: { inventory?: unknown }): string {
  return String((reply.inventory as { uuid: string }).uuid)
}
