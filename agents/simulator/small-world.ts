import {
  backupStorageCalls,
  downloadImage,
  initBackupStorage,
} from '#agents/backup-storage/contract/index.ts'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { createBridge } from '#agents/kvm-host/contract/network.ts'
import { cacheImage, createVolumeFromCache, initStorage } from '#agents/kvm-host/contract/storage.ts'
import type { DiskSpec, NicSpec, VmSpec } from '#agents/kvm-host/contract/vm.ts'
import { createSimulatedBackupStorage } from './backup-storage.ts'
import { connectSimulator } from './connect-simulator.ts'
import { createSimulatedHost, type SimulatedHostOptions } from './kvm-host.ts'
import { createSimulatedWorld, type SimulatedWorld } from './world.ts'

const GiB = 2 ** 30
const imagePath = '/images/guest.qcow2'
const cachePath = '/vm/imagecache/template/guest/guest.qcow2'

export const uuidOf = (number: number) => number.toString(16).padStart(32, '0')
export const volumePath = (number: number) =>
  `/vm/rootVolumes/acct-1/vol-${uuidOf(number)}/${uuidOf(number)}.qcow2`

/** A world with one backup storage that holds one image. */
export async function createSmallWorld() {
  const world = createSimulatedWorld()
  const storage = createSimulatedBackupStorage({ world })
  const images = connectSimulator(backupStorageCalls, storage.handlers)
  await images.call(initBackupStorage, { root: '/images', storageUuid: uuidOf(1) })
  const download = {
    url: 'http://sim/guest.qcow2?actual=1048576',
    imagePath,
    maxBytes: GiB,
    allowPrivateAddresses: false,
    filePrefixes: [],
  }
  const image = await images.call(downloadImage, { ...download, expectedFormat: 'qcow2' })
  return {
    world,
    storage,
    images,
    image,
    source: { address: storage.address, port: storage.port, path: imagePath },
  }
}

/** A host with a root, a bridge and the image in its cache. */
export async function createReadyHost(
  small: Awaited<ReturnType<typeof createSmallWorld>>,
  options: Omit<SimulatedHostOptions, 'world'> & { readonly world?: SimulatedWorld } = {},
) {
  const host = createSimulatedHost({ world: small.world, ...options })
  const client = connectSimulator(kvmHostCalls, host.handlers)
  await client.call(initStorage, { root: '/vm', storageUuid: uuidOf(2) })
  await client.call(createBridge, { bridge: 'br_eth0', physicalInterface: 'eth0', l2NetworkUuid: uuidOf(3) })
  const { actualSizeBytes: sizeBytes, sha256 } = small.image
  await client.call(cacheImage, { source: small.source, cachePath, sizeBytes, sha256, format: 'qcow2' })
  const createVolume = (number: number) =>
    client.call(createVolumeFromCache, { cachePath, cacheFormat: 'qcow2', installPath: volumePath(number) })
  return { ...host, client, createVolume }
}

export function rootDisk(number: number, parts: Partial<DiskSpec> = {}): DiskSpec {
  return {
    volumeUuid: uuidOf(number),
    installPath: volumePath(number),
    format: 'qcow2',
    deviceId: 0,
    bus: 'virtio',
    cacheMode: 'none',
    ...parts,
  }
}

export function nic(number: number, parts: Partial<NicSpec> = {}): NicSpec {
  const bytes = number.toString(16).padStart(6, '0').match(/../g) ?? []
  return {
    nicUuid: uuidOf(number),
    mac: ['fa', '00', '00', ...bytes].join(':'),
    ip: '10.1.0.10',
    bridge: 'br_eth0',
    deviceName: `vnic${number}.0`,
    model: 'virtio',
    ...parts,
  }
}

/** VM `number` with volume and NIC of the same number. */
export function vmSpec(number: number, parts: Partial<VmSpec> = {}): VmSpec {
  return {
    vmUuid: uuidOf(number),
    name: `vm ${number}`,
    memoryBytes: GiB,
    cpuNum: 1,
    acceleration: 'kvm',
    machine: 'q35',
    disks: [rootDisk(number)],
    cdroms: [],
    nics: [nic(number)],
    bootOrder: ['hd'],
    ...parts,
  }
}
