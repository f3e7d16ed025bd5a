import * as host from './host.ts'
import * as network from './network.ts'
import * as storage from './storage.ts'
import * as vm from './vm.ts'

/** Every command a KVM host agent (or its simulator) answers. */
export const kvmHostCalls = {
  hostFacts: host.hostFacts,
  hostPing: host.hostPing,
  hostCapacity: host.hostCapacity,
  probeAcceleration: host.probeAcceleration,
  listVms: host.listVms,
  initStorage: storage.initStorage,
  storageCapacity: storage.storageCapacity,
  cacheImage: storage.cacheImage,
  createVolumeFromCache: storage.createVolumeFromCache,
  createEmptyVolume: storage.createEmptyVolume,
  deletePath: storage.deletePath,
  statVolume: storage.statVolume,
  listStorage: storage.listStorage,
  startVm: vm.startVm,
  stopVm: vm.stopVm,
  rebootVm: vm.rebootVm,
  pauseVm: vm.pauseVm,
  resumeVm: vm.resumeVm,
  destroyVm: vm.destroyVm,
  vmInfo: vm.vmInfo,
  attachVolume: vm.attachVolume,
  detachVolume: vm.detachVolume,
  attachNic: vm.attachNic,
  detachNic: vm.detachNic,
  consoleInfo: vm.consoleInfo,
  prepareMigration: vm.prepareMigration,
  migrateVm: vm.migrateVm,
  cleanMigration: vm.cleanMigration,
  createBridge: network.createBridge,
  deleteBridge: network.deleteBridge,
  applyFlatNetwork: network.applyFlatNetwork,
  addFlatLeases: network.addFlatLeases,
  removeFlatLeases: network.removeFlatLeases,
  deleteFlatNetwork: network.deleteFlatNetwork,
} as const

export { vmStateEvent } from './host.ts'
