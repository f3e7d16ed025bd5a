import { deleteBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { deleteHost } from '#plugins/host/contract/apis.ts'
import { addImage } from '#plugins/image/contract/apis.ts'
import { deleteImage, expungeImage } from '#plugins/image/contract/deletion-apis.ts'
import { createL2NoVlanNetwork, deleteL2Network } from '#plugins/l2-network/contract/apis.ts'
import {
  attachL2NetworkToCluster,
  detachL2NetworkFromCluster,
} from '#plugins/l2-network/contract/cluster-apis.ts'
import { deleteL3Network } from '#plugins/l3-network/contract/apis.ts'
import { detachNetworkServiceFromL3Network } from '#plugins/network-service/contract/apis.ts'
import { attachPrimaryStorageToCluster } from '#plugins/primary-storage/contract/cluster-apis.ts'
import { addSimulatorBackupStorage, addSimulatorPrimaryStorage } from '#plugins/simulator/contract/apis.ts'
import type { Place, TestCloud, WorkflowScenario } from '#testkit'
import { uuidOf } from './base-cloud.ts'
import { addThirdHost } from './vm-scenarios.ts'

async function addSecondBackupStorage(cloud: TestCloud) {
  const input = { name: 'second', url: '/second', userTags: ['mine'] }
  return { secondStorage: uuidOf(await cloud.call(addSimulatorBackupStorage, input as never)) }
}

async function addOtherImage(cloud: TestCloud, { backupStorage = '' }: Place) {
  const input = {
    name: 'other',
    url: 'http://images.example/other.qcow2',
    format: 'qcow2',
    mediaType: 'RootVolumeTemplate',
    backupStorageUuids: [backupStorage],
    userTags: ['mine'],
  }
  return { otherImage: uuidOf(await cloud.call(addImage, input as never)) }
}

async function addOtherL2(cloud: TestCloud, { zone = '' }: Place) {
  const input = { name: 'other', zoneUuid: zone, physicalInterface: 'eth0' }
  return { otherL2: uuidOf(await cloud.call(createL2NoVlanNetwork, input as never)) }
}

async function addAttachedL2(cloud: TestCloud, place: Place) {
  const made = await addOtherL2(cloud, place)
  await cloud.call(attachL2NetworkToCluster, attachmentOf({ ...place, ...made }))
  return made
}

const attachmentOf = ({ otherL2 = '', cluster = '' }: Place) => ({
  l2NetworkUuid: otherL2,
  clusterUuid: cluster,
})

/** What operators do: hosts, storages, images, networks. */
export const infrastructureScenarios: readonly WorkflowScenario[] = [
  {
    name: 'add a host to a cluster with storage and networks',
    workflows: ['host.add'],
    act: addThirdHost,
  },
  {
    name: 'delete a host that runs no VM',
    workflows: ['host.delete'],
    arrange: addThirdHost,
    act: (cloud, { thirdHost = '' }) => cloud.call(deleteHost, { uuid: thirdHost } as never),
  },
  {
    name: 'attach a primary storage to a cluster',
    workflows: ['primaryStorage.attach'],
    arrange: async (cloud, { zone = '' }) => {
      const input = { name: 'second', url: '/second', zoneUuid: zone }
      return { secondStorage: uuidOf(await cloud.call(addSimulatorPrimaryStorage, input as never)) }
    },
    act: (cloud, { secondStorage = '', cluster = '' }) =>
      cloud.call(attachPrimaryStorageToCluster, { primaryStorageUuid: secondStorage, clusterUuid: cluster }),
  },
  {
    name: 'add a backup storage',
    workflows: ['backupStorage.add'],
    act: addSecondBackupStorage,
  },
  {
    name: 'delete a backup storage',
    workflows: ['backupStorage.delete'],
    arrange: addSecondBackupStorage,
    act: (cloud, { secondStorage = '' }) => cloud.call(deleteBackupStorage, { uuid: secondStorage } as never),
  },
  {
    name: 'add an image',
    workflows: ['image.add', 'image.fetch'],
    act: addOtherImage,
  },
  {
    name: 'expunge a deleted image',
    workflows: ['image.expunge'],
    arrange: async (cloud, place) => {
      const made = await addOtherImage(cloud, place)
      await cloud.call(deleteImage, { uuid: made.otherImage } as never)
      return made
    },
    act: (cloud, { otherImage = '' }) => cloud.call(expungeImage, { imageUuid: otherImage }),
  },
  {
    name: 'attach an L2 network to a cluster',
    workflows: ['l2-network.attach'],
    arrange: addOtherL2,
    act: (cloud, place) => cloud.call(attachL2NetworkToCluster, attachmentOf(place)),
  },
  {
    name: 'detach an L2 network from a cluster',
    workflows: ['l2-network.detach'],
    arrange: addAttachedL2,
    act: (cloud, place) => cloud.call(detachL2NetworkFromCluster, attachmentOf(place)),
  },
  {
    name: 'delete an L2 network that is attached',
    workflows: ['l2-network.delete'],
    arrange: addAttachedL2,
    act: (cloud, { otherL2 = '' }) => cloud.call(deleteL2Network, { uuid: otherL2 } as never),
  },
  {
    name: 'take the services from a network with VMs',
    workflows: ['network-service.detach'],
    act: (cloud, { l3 = '' }) =>
      cloud.call(detachNetworkServiceFromL3Network, {
        l3NetworkUuid: l3,
        networkServices: { Flat: ['DHCP', 'Userdata'] },
      }),
  },
  {
    name: 'delete an L3 network',
    workflows: ['l3-network.delete'],
    act: (cloud, { otherL3 = '' }) => cloud.call(deleteL3Network, { uuid: otherL3 } as never),
  },
]
