import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { addSimulatorHost } from '#plugins/simulator/contract/apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { migrateVm } from '#plugins/vm/contract/migration-apis.ts'
import { attachL3NetworkToVm, detachL3NetworkFromVm, queryVmNic } from '#plugins/vm/contract/nic-apis.ts'
import * as power from '#plugins/vm/contract/power-apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm, detachDataVolumeFromVm } from '#plugins/volume/contract/attachment-apis.ts'
import { deleteDataVolume, expungeDataVolume } from '#plugins/volume/contract/deletion-apis.ts'
import type { Place, TestCloud, WorkflowScenario } from '#testkit'
import { addVm, addVolume, uuidOf } from './base-cloud.ts'

const uuidOfVm = ({ vm = '' }: Place) => ({ uuid: vm }) as never

export async function addThirdHost(cloud: TestCloud, { cluster = '' }: Place) {
  const size = { memoryCapacity: 2 ** 30, cpuCapacity: 640 }
  const host = { name: 'third', managementIp: '10.1.0.3', clusterUuid: cluster, ...size }
  return { thirdHost: uuidOf(await cloud.call(addSimulatorHost, host)) }
}

async function stop(cloud: TestCloud, place: Place) {
  await cloud.call(power.stopVmInstance, uuidOfVm(place))
  return {}
}

async function destroy(cloud: TestCloud, place: Place) {
  await cloud.call(destroyVmInstance, uuidOfVm(place))
  return {}
}

async function attachNic(cloud: TestCloud, { vm = '', otherL3 = '' }: Place) {
  await cloud.call(attachL3NetworkToVm, { vmInstanceUuid: vm, l3NetworkUuid: otherL3 })
  const conditions = [
    { name: 'l3NetworkUuid', op: '=' as const, value: otherL3 },
    { name: 'vmInstanceUuid', op: '=' as const, value: vm },
  ]
  const [nic] = await cloud.query(queryVmNic, { conditions })
  return { nic: String(nic?.uuid) }
}

/** Everything VMs do, and volumes with them. */
export const vmScenarios: readonly WorkflowScenario[] = [
  {
    name: 'create a VM with two NICs, a data disk and tags',
    workflows: ['vm.create'],
    act: (cloud, place) =>
      addVm(cloud, place, {
        l3NetworkUuids: [place.l3, place.otherL3],
        defaultL3NetworkUuid: place.l3,
        dataDiskOfferingUuids: [place.diskOffering],
        systemTags: ['hostname::second', 'userdata::aGVsbG8='],
        userTags: ['mine'],
      }),
  },
  {
    name: 'create a VM that stays off',
    workflows: ['vm.create'],
    act: (cloud, place) => addVm(cloud, place, { strategy: 'CreateStopped' }),
  },
  {
    name: 'create a VM on a host that has not seen its image',
    workflows: ['vm.create'],
    allowance: { imageCaches: true },
    arrange: addThirdHost,
    act: (cloud, place) => addVm(cloud, place, { hostUuid: place.thirdHost }),
  },
  {
    name: 'start a VM',
    workflows: ['vm.start'],
    arrange: stop,
    act: (cloud, place) => cloud.call(power.startVmInstance, uuidOfVm(place)),
  },
  {
    name: 'stop a VM',
    workflows: ['vm.stop'],
    act: stop,
  },
  {
    name: 'reboot a VM',
    workflows: ['vm.reboot'],
    act: (cloud, place) => cloud.call(power.rebootVmInstance, uuidOfVm(place)),
  },
  {
    name: 'pause a VM',
    workflows: ['vm.pause'],
    act: (cloud, place) => cloud.call(power.pauseVmInstance, uuidOfVm(place)),
  },
  {
    name: 'resume a VM',
    workflows: ['vm.resume'],
    arrange: async (cloud, place) => {
      await cloud.call(power.pauseVmInstance, uuidOfVm(place))
      return {}
    },
    act: (cloud, place) => cloud.call(power.resumeVmInstance, uuidOfVm(place)),
  },
  {
    name: 'migrate a VM with its local disks',
    workflows: ['vm.migrate'],
    pointOfNoReturn: 'transfer',
    act: (cloud, { vm = '', otherHost }) =>
      cloud.call(migrateVm, { vmInstanceUuid: vm, hostUuid: otherHost }),
  },
  {
    name: 'destroy a VM that runs',
    workflows: ['vm.destroy'],
    act: destroy,
  },
  {
    name: 'destroy a VM that is off, for good at once',
    workflows: ['vm.destroy', 'vm.expunge'],
    arrange: async (cloud, place) => {
      await cloud.call(updateGlobalConfig, { category: 'vm', name: 'deletionPolicy', value: 'Direct' })
      return stop(cloud, place)
    },
    act: destroy,
  },
  {
    name: 'expunge a destroyed VM',
    workflows: ['vm.expunge'],
    arrange: destroy,
    act: (cloud, place) => cloud.call(expungeVmInstance, uuidOfVm(place)),
  },
  {
    name: 'attach a NIC to a VM that runs',
    workflows: ['vm.attachNic'],
    act: attachNic,
  },
  {
    name: 'detach a NIC from a VM that runs',
    workflows: ['vm.detachNic'],
    arrange: attachNic,
    act: (cloud, { nic = '' }) => cloud.call(detachL3NetworkFromVm, { vmNicUuid: nic }),
  },
  {
    name: 'create a volume on a primary storage',
    workflows: ['volume.create'],
    act: (cloud, place) => addVolume(cloud, place, 'new', place.primaryStorage),
  },
  {
    name: 'create a volume that has no file yet, with a tag',
    workflows: ['volume.create'],
    act: (cloud, { diskOffering }) =>
      cloud.call(createDataVolume, {
        name: 'new',
        diskOfferingUuid: diskOffering,
        userTags: ['mine'],
      } as never),
  },
  {
    name: 'attach a volume that has no file yet to a VM that runs',
    workflows: ['volume.attach'],
    act: (cloud, { vm = '', spare = '' }) =>
      cloud.call(attachDataVolumeToVm, { vmInstanceUuid: vm, volumeUuid: spare }),
  },
  {
    name: 'attach a volume to a VM that is off',
    workflows: ['volume.attach'],
    arrange: stop,
    act: (cloud, { vm = '', spare = '' }) =>
      cloud.call(attachDataVolumeToVm, { vmInstanceUuid: vm, volumeUuid: spare }),
  },
  {
    name: 'detach a volume from a VM that runs',
    workflows: ['volume.detach'],
    act: (cloud, { attached = '' }) => cloud.call(detachDataVolumeFromVm, { uuid: attached }),
  },
  {
    name: 'expunge a deleted volume',
    workflows: ['volume.expunge'],
    arrange: async (cloud, place) => {
      const doomed = await addVolume(cloud, place, 'doomed', place.primaryStorage)
      await cloud.call(deleteDataVolume, { uuid: doomed } as never)
      return { doomed }
    },
    act: (cloud, { doomed = '' }) => cloud.call(expungeDataVolume, { uuid: doomed }),
  },
]
