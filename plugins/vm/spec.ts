import type { DiskSpec, NicSpec, VmSpec } from '#agents/kvm-host/contract/vm.ts'
import { get } from '#db'
import type { PluginContext } from '#plugin-host'
import { hostConnector } from '#plugins/host/contract/extensions.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { locateImage } from '#plugins/image/contract/messages.ts'
import { image } from '#plugins/image/contract/resources.ts'
import { bridgeOfL3 } from '#plugins/l2-network/contract/messages.ts'
import type { ServedNic } from '#plugins/network-service/contract/extensions.ts'
import { provideIso } from '#plugins/primary-storage/contract/messages.ts'
import { systemTagsOf } from '#plugins/tag/contract/messages.ts'
import type { Volume } from '#plugins/volume/contract/resources.ts'
import { cacheMode } from './contract/configs.ts'
import type { VmInstance, VmNic } from './contract/resources.ts'
import { getVm, nicsOf, volumesOf } from './store.ts'
import { decodeUserdata, tagValue, vmTags } from './tags.ts'

type UnservedNic = Omit<ServedNic, 'services'>

/** Everything a host needs to run the VM, read from the database at this moment. */
export async function vmSpec(ctx: PluginContext, vmUuid: string, hostUuid: string): Promise<VmSpec> {
  const vm = await getVm(ctx.db, vmUuid)
  const tags = await ctx.bus.call(systemTagsOf, { resourceUuid: vmUuid })
  const nics: NicSpec[] = []
  for (const nic of await nicsOf(ctx.db, vmUuid)) nics.push(await nicSpec(ctx, vm, nic))
  return {
    vmUuid,
    name: vm.name,
    memoryBytes: vm.memorySize,
    cpuNum: vm.cpuNum,
    acceleration: await accelerationOf(ctx, hostUuid),
    machine: 'q35',
    disks: (await volumesOf(ctx.db, vmUuid)).map((v) => diskSpec(ctx, vm, v)),
    cdroms: await cdroms(ctx, vm, hostUuid),
    nics,
    bootOrder: bootOrder(tags),
    consolePassword: tagValue(tags, vmTags.consolePassword),
  }
}

export function diskSpec(ctx: PluginContext, vm: VmInstance, v: Volume): DiskSpec {
  return {
    volumeUuid: v.uuid,
    installPath: v.installPath ?? '',
    format: v.format === 'raw' ? 'raw' : 'qcow2',
    deviceId: v.deviceId ?? 0,
    bus: hasVirtio(vm) ? 'virtio' : 'ide',
    cacheMode: ctx.config.get(cacheMode),
  }
}

export async function nicSpec(ctx: PluginContext, vm: VmInstance, nic: VmNic): Promise<NicSpec> {
  const { bridge } = await ctx.bus.call(bridgeOfL3, { l3NetworkUuid: nic.l3NetworkUuid ?? '' })
  const model = hasVirtio(vm) ? 'virtio' : 'e1000'
  return { nicUuid: nic.uuid, mac: nic.mac, ip: nic.ip ?? '', bridge, deviceName: nic.internalName, model }
}

function hasVirtio(vm: VmInstance): boolean {
  return vm.platform !== 'Windows' && vm.platform !== 'Other'
}

async function accelerationOf(ctx: PluginContext, hostUuid: string): Promise<'kvm' | 'tcg'> {
  const { hypervisorType } = await get(ctx.db, host, hostUuid)
  return ctx.driver(hostConnector, hypervisorType).acceleration(hostUuid)
}

/** A VM made from an ISO has it in its drive. */
async function cdroms(ctx: PluginContext, vm: VmInstance, hostUuid: string): Promise<VmSpec['cdroms']> {
  if (vm.imageUuid === undefined) return []
  const source = await isoOf(ctx, vm.imageUuid, vm.zoneUuid)
  if (source === undefined) return []
  // The VM's own cluster is recorded only once it runs.
  const { clusterUuid } = await get(ctx.db, host, hostUuid)
  const { path } = await ctx.bus.call(provideIso, { hostUuid, clusterUuid, image: source })
  return [{ deviceId: 0, path }]
}

async function isoOf(ctx: PluginContext, imageUuid: string, zoneUuid: string) {
  const found = await ctx.query.missing(image, [imageUuid])
  if (found.length > 0) return undefined
  const { mediaType } = await get(ctx.db, image, imageUuid)
  return mediaType === 'ISO'
    ? ctx.bus.call(locateImage, { imageUuid, zoneUuid, forExisting: true })
    : undefined
}

function bootOrder(tags: readonly string[]): VmSpec['bootOrder'] {
  const words: Readonly<Record<string, VmSpec['bootOrder'][number]>> = {
    HardDisk: 'hd',
    CdRom: 'cdrom',
    Network: 'network',
  }
  const asked = tagValue(tags, vmTags.bootOrder)
  return asked === undefined ? ['hd', 'cdrom'] : asked.split(',').flatMap((word) => words[word] ?? [])
}

/** The VM's NICs as network services want them. */
export async function servedNics(ctx: PluginContext, vmUuid: string): Promise<UnservedNic[]> {
  const vm = await getVm(ctx.db, vmUuid)
  const tags = await ctx.bus.call(systemTagsOf, { resourceUuid: vmUuid })
  const userdata = tagValue(tags, vmTags.userdata)
  const sshkey = tagValue(tags, vmTags.sshkey)
  const hostname = tagValue(tags, vmTags.hostname)
  return (await nicsOf(ctx.db, vmUuid)).map((nic) => ({
    nicUuid: nic.uuid,
    vmUuid,
    l3NetworkUuid: nic.l3NetworkUuid ?? '',
    mac: nic.mac,
    ip: nic.ip ?? '',
    tap: nic.internalName,
    isDefault: nic.l3NetworkUuid === vm.defaultL3NetworkUuid,
    hostname,
    metadata: sshkey === undefined ? {} : { 'public-keys/0/openssh-key': sshkey },
    userData: userdata === undefined ? undefined : decodeUserdata(userdata),
  }))
}
