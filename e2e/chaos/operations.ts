import type { Api } from '#contract'
import { newUuid } from '#kernel'
import { deleteHost, reconnectHost } from '#plugins/host/contract/apis.ts'
import { createL3Network, deleteL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import { addSimulatorHost } from '#plugins/simulator/contract/apis.ts'
import { createVmInstance, updateVmInstance } from '#plugins/vm/contract/create-apis.ts'
import {
  destroyVmInstance,
  expungeVmInstance,
  recoverVmInstance,
} from '#plugins/vm/contract/deletion-apis.ts'
import { migrateVm } from '#plugins/vm/contract/migration-apis.ts'
import { attachL3NetworkToVm, detachL3NetworkFromVm } from '#plugins/vm/contract/nic-apis.ts'
import * as power from '#plugins/vm/contract/power-apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm, detachDataVolumeFromVm } from '#plugins/volume/contract/attachment-apis.ts'
import { deleteDataVolume, expungeDataVolume } from '#plugins/volume/contract/deletion-apis.ts'
import type { DataCenter } from '#testkit'
import type { Ledger } from './ledger.ts'
import type { Outcome } from './patient-client.ts'
import type { Random } from './random.ts'

export interface Vm {
  readonly uuid: string
  state: 'Running' | 'Stopped' | 'Paused' | 'Destroyed'
  /** NIC on a network of the client's own. */
  nic: string | undefined
}

export interface Volume {
  readonly uuid: string
  vm: string | undefined
  isDeleted: boolean
}

/** What one client has made and takes care of. */
export interface Belongings {
  readonly vms: Vm[]
  readonly volumes: Volume[]
  network: { readonly uuid: string; readonly range: string | undefined } | undefined
  host: string | undefined
  /** A number no other client has. */
  readonly number: number
  hostsMade: number
}

export interface Scene {
  readonly dc: DataCenter & { readonly otherCluster: string }
  readonly random: Random
  readonly ledger: Ledger
  readonly own: Belongings
  call(api: Api, input: Readonly<Record<string, unknown>>): Promise<Outcome>
  /** State of a VM, or `gone`. Throws when no node answers. */
  stateOf(uuid: string): Promise<string>
}

export type Operation = (scene: Scene) => Promise<void>

const vmTable = 'VmInstanceVO'
const volumeTable = 'VolumeVO'
const alive = ['Running', 'Stopped', 'Paused', 'Unknown'] as const
/** Refused before anything was begun. */
const untouched = /^(VM\.1010|VOLUME\.100[02]|SYS\.1003|SYS\.1007|VM\.1008|HOST_ALLOCATION\.1000)$/
/** Whether the one who refuses does not know what became of the call, or only half. */
function isUnclear({ code, details }: Outcome & { kind: 'refused' }): boolean {
  if (/management node (stopped|ended|was)/.test(details)) return !/was rolled back/.test(details)
  return /^CLUSTER\.|^SYS\.1012$/.test(code)
}

const remove = <T>(all: T[], one: T) => void all.splice(all.indexOf(one), 1)

/** Makes something under a uuid of the client's choice; true when it was made. A creation that fails must leave nothing. */
async function make(
  scene: Scene,
  api: Api,
  table: string,
  input: Record<string, unknown>,
): Promise<string | undefined> {
  const uuid = newUuid()
  const outcome = await scene.call(api, { resourceUuid: uuid, ...input })
  if (outcome.kind === 'ok') scene.ledger.there(table, uuid)
  else scene.ledger.gone(table, uuid)
  if (outcome.kind === 'unknown' || (outcome.kind === 'refused' && isUnclear(outcome)))
    scene.ledger.doubt(uuid)
  return outcome.kind === 'ok' ? uuid : undefined
}

/** Does something to an object; true when it was done. What fails half way leaves the object in doubt. */
async function change(
  scene: Scene,
  uuid: string,
  api: Api,
  input: Record<string, unknown>,
): Promise<boolean> {
  const outcome = await scene.call(api, input)
  if (outcome.kind === 'unknown') scene.ledger.doubt(uuid)
  if (outcome.kind === 'refused' && !untouched.test(outcome.code)) scene.ledger.doubt(uuid)
  return outcome.kind === 'ok'
}

export const createVm: Operation = async (scene) => {
  const { dc, random, own } = scene
  const isOff = random.chance(0.2)
  const uuid = await make(scene, createVmInstance, vmTable, {
    name: `vm-${own.number}`,
    imageUuid: dc.image,
    instanceOfferingUuid: dc.instanceOffering,
    l3NetworkUuids: [dc.l3],
    strategy: isOff ? 'CreateStopped' : 'InstantStart',
    ...(random.chance(0.2) ? { dataDiskOfferingUuids: [dc.diskOffering] } : {}),
  })
  if (uuid === undefined) return
  scene.ledger.there(vmTable, uuid, { state: alive })
  own.vms.push({ uuid, state: isOff ? 'Stopped' : 'Running', nic: undefined })
}

/** Brings a VM from one state into another, and remembers what it must be in afterwards. */
function onVm(
  from: Vm['state'],
  api: Api,
  to: Vm['state'],
  options: { input?: Record<string, unknown>; must?: readonly string[]; key?: string } = {},
): Operation {
  return async (scene) => {
    const vm = scene.random.pick(scene.own.vms.filter(({ state }) => state === from))
    if (vm === undefined) return
    const isDone = await change(scene, vm.uuid, api, { [options.key ?? 'uuid']: vm.uuid, ...options.input })
    if (!isDone) return lookAgain(scene, vm)
    vm.state = to
    scene.ledger.there(vmTable, vm.uuid, { state: options.must ?? alive })
  }
}

/** After a refusal a client looks what it has; what it is no longer sure of it may leave to the auditor and to others. */
async function lookAgain({ ledger, own, random, stateOf }: Scene, vm: Vm): Promise<void> {
  if (ledger.isDoubted(vm.uuid) && random.chance(0.5)) return remove(own.vms, vm)
  // Not to be told is not the end of it: it is tried again with what it last knew.
  const state = await stateOf(vm.uuid).catch(() => undefined)
  if (state === 'gone') remove(own.vms, vm)
  else if (isKnown(state)) vm.state = state
}

const isKnown = (state: string | undefined): state is Vm['state'] =>
  ['Running', 'Stopped', 'Paused', 'Destroyed'].includes(String(state))

export const start = onVm('Stopped', power.startVmInstance, 'Running')
export const stop = onVm('Running', power.stopVmInstance, 'Stopped', {
  input: { type: 'cold' },
  must: ['Stopped'],
})
export const reboot = onVm('Running', power.rebootVmInstance, 'Running')
export const pauseVm = onVm('Running', power.pauseVmInstance, 'Paused')
export const resume = onVm('Paused', power.resumeVmInstance, 'Running')
export const migrate = onVm('Running', migrateVm, 'Running', { key: 'vmInstanceUuid' })
export const rename = onVm('Running', updateVmInstance, 'Running', { input: { description: 'renamed' } })
export const destroy = onVm('Running', destroyVmInstance, 'Destroyed', { must: ['Destroyed'] })
export const destroyStopped = onVm('Stopped', destroyVmInstance, 'Destroyed', { must: ['Destroyed'] })
export const recover = onVm('Destroyed', recoverVmInstance, 'Stopped', { must: ['Stopped'] })

export const expunge: Operation = async (scene) => {
  const { own, ledger } = scene
  const vm = scene.random.pick(own.vms.filter(({ state }) => state === 'Destroyed'))
  if (vm === undefined) return
  const mine = own.volumes.filter((volume) => volume.vm === vm.uuid)
  const isDone = await change(scene, vm.uuid, expungeVmInstance, { uuid: vm.uuid })
  remove(own.vms, vm)
  if (isDone) ledger.gone(vmTable, vm.uuid)
  for (const volume of mine) {
    volume.vm = undefined
    ledger.there(volumeTable, volume.uuid, isDone ? { vmInstanceUuid: [null] } : {})
  }
}

export const createVolume: Operation = async (scene) => {
  const { dc, own, random } = scene
  const where = random.chance(0.4) ? { primaryStorageUuid: dc.primaryStorage } : {}
  const input = { name: `volume-${own.number}`, diskOfferingUuid: dc.diskOffering, ...where }
  const uuid = await make(scene, createDataVolume, volumeTable, input)
  if (uuid !== undefined) own.volumes.push({ uuid, vm: undefined, isDeleted: false })
}

export const attach: Operation = async (scene) => {
  const { own, random, ledger } = scene
  const volume = random.pick(own.volumes.filter((v) => v.vm === undefined && !v.isDeleted))
  const vm = random.pick(own.vms.filter(({ state }) => state === 'Running' || state === 'Stopped'))
  if (volume === undefined || vm === undefined) return
  const input = { volumeUuid: volume.uuid, vmInstanceUuid: vm.uuid }
  if (!(await change(scene, volume.uuid, attachDataVolumeToVm, input))) return
  volume.vm = vm.uuid
  // A VM in doubt may be expunged at any time, and its volumes are free then.
  ledger.there(volumeTable, volume.uuid, ledger.isDoubted(vm.uuid) ? {} : { vmInstanceUuid: [vm.uuid] })
}

export const detach: Operation = async (scene) => {
  const volume = scene.random.pick(scene.own.volumes.filter(({ vm }) => vm !== undefined))
  if (volume === undefined) return
  const isDone = await change(scene, volume.uuid, detachDataVolumeFromVm, { uuid: volume.uuid })
  if (isDone) scene.ledger.there(volumeTable, volume.uuid, { vmInstanceUuid: [null] })
  if (isDone || scene.ledger.isDoubted(volume.uuid)) volume.vm = undefined
}

export const deleteVolume: Operation = async (scene) => {
  const volume = scene.random.pick(scene.own.volumes.filter((v) => v.vm === undefined && !v.isDeleted))
  if (volume === undefined) return
  if (!(await change(scene, volume.uuid, deleteDataVolume, { uuid: volume.uuid }))) return
  volume.isDeleted = true
  scene.ledger.there(volumeTable, volume.uuid, { status: ['Deleted'] })
}

export const expungeVolume: Operation = async (scene) => {
  const volume = scene.random.pick(scene.own.volumes.filter(({ isDeleted }) => isDeleted))
  if (volume === undefined) return
  remove(scene.own.volumes, volume)
  if (await change(scene, volume.uuid, expungeDataVolume, { uuid: volume.uuid }))
    scene.ledger.gone(volumeTable, volume.uuid)
}

/** A network of the client's own comes into being, and later goes when no VM has a NIC on it. */
export const network: Operation = async (scene) => {
  const { own, dc, ledger } = scene
  if (own.network === undefined) {
    const input = { name: `l3-${own.number}`, l2NetworkUuid: dc.l2 }
    const uuid = await make(scene, createL3Network, 'L3NetworkVO', input)
    if (uuid === undefined) return
    const prefix = `10.60.${own.number}`
    const range = {
      startIp: `${prefix}.10`,
      endIp: `${prefix}.200`,
      gateway: `${prefix}.1`,
      netmask: '255.255.255.0',
    }
    const more = { l3NetworkUuid: uuid, name: 'range', ...range }
    own.network = { uuid, range: await make(scene, addIpRange, 'IpRangeVO', more) }
    return
  }
  const isUsed = own.vms.some(({ nic }) => nic !== undefined)
  if (isUsed || !scene.random.chance(0.3)) return
  const { uuid, range } = own.network
  own.network = undefined
  const isDone = await change(scene, uuid, deleteL3Network, { uuid })
  if (isDone) ledger.gone('L3NetworkVO', uuid)
  if (range === undefined) return
  if (isDone) ledger.gone('IpRangeVO', range)
  else if (ledger.isDoubted(uuid)) ledger.doubt(range)
}

export const plugNic: Operation = async (scene) => {
  const { own, random } = scene
  const vm = random.pick(own.vms.filter(({ state }) => state === 'Running' || state === 'Stopped'))
  if (vm === undefined || own.network === undefined) return
  if (vm.nic !== undefined) {
    const vmNicUuid = vm.nic
    vm.nic = undefined
    await change(scene, vm.uuid, detachL3NetworkFromVm, { vmNicUuid })
    return
  }
  const l3NetworkUuid = own.network.uuid
  const outcome = await scene.call(attachL3NetworkToVm, { vmInstanceUuid: vm.uuid, l3NetworkUuid })
  if (outcome.kind !== 'ok') return
  const { vmNics } = outcome.reply.inventory as { vmNics: { uuid: string; l3NetworkUuid: string }[] }
  vm.nic = vmNics.find((nic) => nic.l3NetworkUuid === l3NetworkUuid)?.uuid
}

/** A host comes and goes, in a cluster without storage, so that no VM is placed there. */
export const host: Operation = async (scene) => {
  const { own, dc, random, ledger } = scene
  const uuid = own.host
  if (uuid === undefined) {
    own.hostsMade += 1
    const managementIp = `10.3.${own.number}.${own.hostsMade % 250}`
    const input = { name: `host-${own.number}`, managementIp, clusterUuid: dc.otherCluster }
    own.host = await make(scene, addSimulatorHost, 'HostVO', {
      ...input,
      memoryCapacity: 2 ** 30,
      cpuCapacity: 10,
    })
  } else if (random.chance(0.4)) {
    own.host = undefined
    if (await change(scene, uuid, deleteHost, { uuid })) ledger.gone('HostVO', uuid)
  } else await scene.call(reconnectHost, { uuid })
}
