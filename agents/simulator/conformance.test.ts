import {
  backupStorageCalls,
  downloadImage,
  initBackupStorage,
} from '#agents/backup-storage/contract/index.ts'
import { backupStorageConformance } from '#agents/conformance/backup-storage-conformance.ts'
import { kvmHostConformance } from '#agents/conformance/kvm-host-conformance.ts'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { newUuid } from '#kernel'
import { createSimulatedBackupStorage } from './backup-storage.ts'
import { connectSimulator } from './connect-simulator.ts'
import { createSimulatedHost } from './kvm-host.ts'
import { createSimulatedWorld } from './world.ts'

const GiB = 2 ** 30

kvmHostConformance('simulator', async () => {
  const world = createSimulatedWorld()
  const storage = createSimulatedBackupStorage({ world })
  const images = connectSimulator(backupStorageCalls, storage.handlers)
  await images.call(initBackupStorage, { root: '/images', storageUuid: newUuid() })
  const path = '/images/guest.qcow2'
  const image = await images.call(downloadImage, {
    url: 'http://sim/guest.qcow2?actual=1048576',
    imagePath: path,
    expectedFormat: 'qcow2',
    maxBytes: GiB,
    allowPrivateAddresses: false,
    filePrefixes: [],
  })
  const host = createSimulatedHost({ world })
  return {
    client: connectSimulator(kvmHostCalls, host.handlers),
    clientAt: (epoch) => connectSimulator(kvmHostCalls, host.handlers, epoch),
    subscribe: host.subscribe,
    storageRoot: '/vm',
    physicalInterface: 'eth0',
    image: {
      source: { address: storage.address, port: storage.port, path },
      format: 'qcow2',
      sizeBytes: image.actualSizeBytes,
      virtualSizeBytes: image.virtualSizeBytes,
      sha256: image.sha256,
    },
    acceleration: 'kvm',
    memoryBytes: GiB,
    guestReady: async () => {},
    dispose: async () => {},
  }
})

backupStorageConformance('simulator', async () => {
  const storage = createSimulatedBackupStorage()
  return {
    client: connectSimulator(backupStorageCalls, storage.handlers),
    clientAt: (epoch) => connectSimulator(backupStorageCalls, storage.handlers, epoch),
    root: '/images',
    image: {
      url: 'http://sim/image.qcow2?size=2147483648&actual=1048576',
      allowPrivateAddresses: false,
      filePrefixes: [],
      virtualSizeBytes: 2 * GiB,
      actualSizeBytes: 2 ** 20,
      sha256: '75f29b17a951bc6eaaf1ca1e645471669ae676d5c98998002b19e2e7123f3aab',
    },
    missingUrl: 'http://sim/missing.qcow2',
    dispose: async () => {},
  }
})
