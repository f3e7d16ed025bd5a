import type { Input } from '#contract'
import { find, get, oneOf } from '#db'
import { CloudError, newOrderedUuid, sysErrors } from '#kernel'
import type { ApiCall, PluginContext } from '#plugin-host'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import type { PlacementSpec } from '#plugins/host/contract/extensions.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { locateImage } from '#plugins/image/contract/messages.ts'
import { image as imageResource } from '#plugins/image/contract/resources.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { diskOffering, instanceOffering } from '#plugins/offering/contract/resources.ts'
import type { ImageSource } from '#plugins/primary-storage/contract/extensions.ts'
import type { NewVolume } from '#plugins/volume/contract/messages.ts'
import { maxDataVolumes } from './contract/configs.ts'
import type { createVmInstance } from './contract/create-apis.ts'
import type { VmInstance } from './contract/resources.ts'
import { vmState } from './contract/states.ts'
import type { NewNic } from './store.ts'
import { staticIps } from './tags.ts'

type CreateInput = Input<typeof createVmInstance>

/** What hypervisors can give one VM. */
const MAX_CPUS = 1024
export const MIN_MEMORY_BYTES = 16 * 2 ** 20

/** All that is decided about a VM before the first effect; ids included, so that every step can be repeated. */
export interface CreatePlan {
  readonly vm: Omit<VmInstance, 'internalId'>
  readonly placement: PlacementSpec
  readonly root: NewVolume
  readonly data: readonly NewVolume[]
  readonly nics: readonly { readonly nic: NewNic; readonly staticIp: string | undefined }[]
  /** Undefined for a VM that boots from an ISO onto an empty disk. */
  readonly image: ImageSource | undefined
  readonly primaryStorageUuid: string | undefined
  readonly start: boolean
  readonly systemTags: readonly string[] | undefined
  readonly userTags: readonly string[] | undefined
}

export async function planVm(ctx: PluginContext, input: CreateInput, call: ApiCall): Promise<CreatePlan> {
  const uuid = input.resourceUuid ?? newOrderedUuid()
  const size = await sizing(ctx, input)
  const zoneUuid = await zoneOf(ctx, input)
  const l3s = await networksOf(ctx, input, zoneUuid)
  const picture = await pictureOf(ctx, input, zoneUuid)
  const rootSize = await rootSizeOf(ctx, input, picture)
  const disks = await dataDisks(ctx, input)
  const owner = { accountUuid: call.accountUuid, vmInstanceUuid: uuid }
  const hypervisorType = await hypervisorOf(ctx, input, zoneUuid)
  const root = rootVolume(input, picture, owner, rootSize)
  const { clusterUuid, hostUuid, systemTags, userTags } = input
  const primaryStorageUuid = input.primaryStorageUuidForRootVolume
  const where = { zoneUuid, clusterUuid, hostUuid, l3NetworkUuids: l3s, primaryStorageUuid }
  return {
    vm: {
      ...vmRow(input, picture, uuid),
      ...size,
      zoneUuid,
      hypervisorType,
      rootVolumeUuid: root.uuid,
      defaultL3NetworkUuid: l3s.length === 0 ? undefined : (input.defaultL3NetworkUuid ?? l3s[0]),
      accountUuid: call.accountUuid,
    },
    placement: {
      vmUuid: uuid,
      ...size,
      ...where,
      rootDiskBytes: bytesOnHost(rootSize, disks, primaryStorageUuid),
    },
    root,
    data: disks.map((disk, i) => dataVolume(input.name, disk, owner, i + 1)),
    nics: plannedNics(l3s, staticIps(systemTags ?? []), uuid, hypervisorType),
    image: picture.source,
    primaryStorageUuid,
    start: input.strategy === 'InstantStart',
    systemTags,
    userTags,
  }
}

/** What a host must have room for. Data disks go to any storage, so they do not count on the one named for the root disk. */
function bytesOnHost(
  rootSize: number,
  disks: readonly { readonly size: number }[],
  storageOfRoot: string | undefined,
): number {
  return storageOfRoot === undefined ? disks.reduce((sum, disk) => sum + disk.size, rootSize) : rootSize
}

function vmRow(input: CreateInput, picture: Picture, uuid: string) {
  const now = Date.now()
  return {
    uuid,
    name: input.name,
    description: input.description,
    clusterUuid: input.clusterUuid,
    imageUuid: input.imageUuid,
    instanceOfferingUuid: input.instanceOfferingUuid,
    platform: input.platform ?? picture.platform,
    architecture: input.architecture ?? picture.architecture,
    guestOsType: input.guestOsType ?? picture.guestOsType,
    type: input.type ?? 'UserVm',
    state: input.strategy === 'InstantStart' ? vmState.starting : vmState.created,
    createDate: now,
    lastOpDate: now,
  }
}

interface Owner {
  readonly accountUuid: string
  readonly vmInstanceUuid: string
}

function rootVolume(input: CreateInput, picture: Picture, owner: Owner, size: number): NewVolume {
  return {
    ...owner,
    uuid: newOrderedUuid(),
    name: `ROOT-for-${input.name}`,
    type: 'Root',
    size,
    deviceId: 0,
    // A root disk installed from an ISO is built on no image.
    rootImageUuid: picture.source === undefined ? undefined : input.imageUuid,
    diskOfferingUuid: input.rootDiskOfferingUuid,
  }
}

function dataVolume(
  vmName: string,
  disk: { readonly size: number; readonly diskOfferingUuid?: string },
  owner: Owner,
  deviceId: number,
): NewVolume {
  return {
    ...owner,
    ...disk,
    uuid: newOrderedUuid(),
    name: `DATA-for-${vmName}-${deviceId}`,
    type: 'Data',
    deviceId,
  }
}

function plannedNics(
  l3s: readonly string[],
  ips: ReadonlyMap<string, string>,
  vmInstanceUuid: string,
  hypervisorType: string,
): CreatePlan['nics'] {
  const common = { vmInstanceUuid, mac: undefined, driverType: 'virtio', hypervisorType }
  return l3s.map((l3NetworkUuid, deviceId) => ({
    nic: { ...common, uuid: newOrderedUuid(), l3NetworkUuid, deviceId },
    staticIp: ips.get(l3NetworkUuid),
  }))
}

async function sizing(
  ctx: PluginContext,
  input: CreateInput,
): Promise<{ cpuNum: number; memorySize: number }> {
  if (input.instanceOfferingUuid !== undefined) {
    const offering = await get(ctx.db, instanceOffering, input.instanceOfferingUuid)
    if (offering.state !== 'Enabled')
      throw bad('instanceOfferingUuid', `the instance offering ${offering.name} is ${offering.state}`)
    return { cpuNum: offering.cpuNum, memorySize: offering.memorySize }
  }
  const { cpuNum, memorySize } = input
  if (cpuNum === undefined || memorySize === undefined)
    throw bad('instanceOfferingUuid', 'give instanceOfferingUuid, or cpuNum and memorySize')
  if (cpuNum < 1) throw bad('cpuNum', `a VM needs at least one CPU, got ${cpuNum}`)
  if (cpuNum > MAX_CPUS) throw bad('cpuNum', `a VM can have at most ${MAX_CPUS} CPUs, got ${cpuNum}`)
  if (memorySize < MIN_MEMORY_BYTES)
    throw bad('memorySize', `a VM needs at least 16 MiB of memory, got ${memorySize} bytes`)
  return { cpuNum, memorySize }
}

interface Picture {
  readonly source: ImageSource | undefined
  readonly minimumBytes: number
  readonly platform: string | undefined
  readonly architecture: string | undefined
  readonly guestOsType: string | undefined
}

async function pictureOf(ctx: PluginContext, input: CreateInput, zoneUuid: string): Promise<Picture> {
  if (input.imageUuid === undefined) throw bad('imageUuid', 'give the image the VM is made from')
  const { imageUuid } = input
  const row = await get(ctx.db, imageResource, imageUuid)
  const source = await ctx.bus.call(locateImage, { imageUuid, zoneUuid })
  const facts = { platform: row.platform, architecture: row.architecture, guestOsType: row.guestOsType }
  if (row.mediaType === 'DataVolumeTemplate')
    throw bad('imageUuid', `the image ${row.name} is a template of data volumes; a VM cannot boot from it`)
  if (row.mediaType === 'ISO') return { source: undefined, minimumBytes: 0, ...facts }
  return { source, minimumBytes: row.size, ...facts }
}

async function rootSizeOf(ctx: PluginContext, input: CreateInput, picture: Picture): Promise<number> {
  const { rootDiskOfferingUuid, rootDiskSize } = input
  if (rootDiskSize !== undefined && rootDiskSize <= 0)
    throw bad('rootDiskSize', `a disk cannot have ${rootDiskSize} bytes`)
  const wanted =
    rootDiskOfferingUuid === undefined
      ? rootDiskSize
      : await offeredSize(ctx, 'rootDiskOfferingUuid', rootDiskOfferingUuid)
  if (picture.source === undefined && wanted === undefined)
    throw bad('rootDiskOfferingUuid', 'a VM made from an ISO needs rootDiskOfferingUuid or rootDiskSize')
  return Math.max(wanted ?? 0, picture.minimumBytes)
}

async function dataDisks(
  ctx: PluginContext,
  input: CreateInput,
): Promise<{ size: number; diskOfferingUuid?: string }[]> {
  const disks: { size: number; diskOfferingUuid?: string }[] = []
  for (const diskOfferingUuid of input.dataDiskOfferingUuids ?? []) {
    disks.push({ size: await offeredSize(ctx, 'dataDiskOfferingUuids', diskOfferingUuid), diskOfferingUuid })
  }
  for (const size of input.dataDiskSizes ?? []) {
    if (size <= 0) throw bad('dataDiskSizes', `a disk cannot have ${size} bytes`)
    disks.push({ size })
  }
  const limit = ctx.config.get(maxDataVolumes)
  if (disks.length > limit)
    throw bad('dataDiskSizes', `${disks.length} data disks are asked for; a VM may have at most ${limit}`)
  return disks
}

async function offeredSize(ctx: PluginContext, field: string, uuid: string): Promise<number> {
  const offering = await get(ctx.db, diskOffering, uuid)
  if (offering.state !== 'Enabled')
    throw bad(field, `the disk offering ${offering.name} is ${offering.state}`)
  return offering.diskSize
}

async function networksOf(ctx: PluginContext, input: CreateInput, zoneUuid: string): Promise<string[]> {
  const uuids = input.l3NetworkUuids ?? []
  if (new Set(uuids).size < uuids.length)
    throw bad('l3NetworkUuids', 'a VM has at most one NIC on an L3 network, but one is named twice')
  for (const row of await find(ctx.db, l3Network, { uuid: oneOf(uuids) })) {
    if (row.state !== 'Enabled') throw bad('l3NetworkUuids', `the L3 network ${row.name} is ${row.state}`)
    requireZone('l3NetworkUuids', `the L3 network ${row.name}`, row, zoneUuid)
  }
  for (const l3 of staticIps(input.systemTags ?? []).keys()) {
    if (!uuids.includes(l3))
      throw bad('systemTags', `a static address is given for ${l3}, which is not among l3NetworkUuids`)
  }
  const { defaultL3NetworkUuid } = input
  if (defaultL3NetworkUuid !== undefined && !uuids.includes(defaultL3NetworkUuid)) {
    throw bad('defaultL3NetworkUuid', `${defaultL3NetworkUuid} is not among l3NetworkUuids`)
  }
  return uuids
}

/** The zone asked for, directly or by cluster, host or network. Refuses places that do not lie in one another. */
async function zoneOf(ctx: PluginContext, input: CreateInput): Promise<string> {
  const inHost = input.hostUuid === undefined ? undefined : await get(ctx.db, host, input.hostUuid)
  const inCluster =
    input.clusterUuid === undefined ? undefined : await get(ctx.db, cluster, input.clusterUuid)
  const [l3] = input.l3NetworkUuids ?? []
  const zoneUuid = input.zoneUuid ?? inHost?.zoneUuid ?? inCluster?.zoneUuid
  if (zoneUuid === undefined) {
    if (l3 !== undefined) return (await get(ctx.db, l3Network, l3)).zoneUuid
    throw bad('zoneUuid', 'tell where the VM goes: zoneUuid, clusterUuid, hostUuid or l3NetworkUuids')
  }
  if (inHost !== undefined) requireZone('hostUuid', `the host ${inHost.name}`, inHost, zoneUuid)
  if (inCluster !== undefined)
    requireZone('clusterUuid', `the cluster ${inCluster.name}`, inCluster, zoneUuid)
  if (inHost !== undefined && inCluster !== undefined && inHost.clusterUuid !== inCluster.uuid)
    throw bad('hostUuid', `the host ${inHost.name} is not in the cluster ${inCluster.name}`)
  return zoneUuid
}

function requireZone(field: string, what: string, row: { zoneUuid: string }, zoneUuid: string): void {
  if (row.zoneUuid !== zoneUuid)
    throw bad(field, `${what} lies in the zone ${row.zoneUuid}, the VM shall go to the zone ${zoneUuid}`)
}

/** Known for certain only when the host is chosen; until then that of the place asked for. */
async function hypervisorOf(ctx: PluginContext, input: CreateInput, zoneUuid: string): Promise<string> {
  if (input.hostUuid !== undefined) return (await get(ctx.db, host, input.hostUuid)).hypervisorType
  if (input.clusterUuid !== undefined) return (await get(ctx.db, cluster, input.clusterUuid)).hypervisorType
  return (await find(ctx.db, cluster, { zoneUuid }, { limit: 1 }))[0]?.hypervisorType ?? 'KVM'
}

function bad(field: string, reason: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `field[${field}] of CreateVmInstance: ${reason}`, {
    opaque: { field },
  })
}
