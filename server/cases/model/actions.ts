import type { Api } from '#contract'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import * as deletion from '#plugins/vm/contract/deletion-apis.ts'
import { migrateVm } from '#plugins/vm/contract/migration-apis.ts'
import { attachL3NetworkToVm, detachL3NetworkFromVm } from '#plugins/vm/contract/nic-apis.ts'
import * as power from '#plugins/vm/contract/power-apis.ts'
import * as model from './reference.ts'

type Model = model.Model
type ModelVm = model.ModelVm

/** Numbers chosen at random: which VM, which volume, which host, which variant. Each counts modulo what there is. */
export type Numbers = readonly [vm: number, volume: number, host: number, variant: number]

/** Uuids of the data centre all happens in. */
export interface Ground {
  readonly image: string
  readonly instanceOffering: string
  readonly diskOffering: string
  readonly primaryStorage: string
  readonly l3: string
}

/** A call, and what must come of it. */
export interface Action {
  readonly api: Api
  readonly input: Readonly<Record<string, unknown>>
  readonly expected: model.Expected
}

export type Plan = (m: Model, ground: Ground, numbers: Numbers) => Action

/** One of those there are; sometimes the last that is gone, or nothing. */
export function pick<T extends { state: string } | { status: string } | string>(
  all: readonly T[],
  number: number,
): T | undefined {
  const gone = all.filter(isGone)
  if (number % 8 === 7) return gone.at(-1)
  const there = all.filter((one) => !isGone(one))
  return there[number % (there.length || 1)]
}

function isGone(one: { state: string } | { status: string } | string): boolean {
  if (typeof one === 'string') return false
  return ('state' in one ? one.state : one.status) === 'gone'
}

/** Well-formed, and nobody has it. */
export const ghost = '0123456789ab4def8123456789abcdef'

/** Something done to a VM, which must be there, and in the right state. */
function onVm(
  api: Api,
  change: (m: Model, vm: ModelVm, numbers: Numbers) => model.Expected,
  options: { uuid?: string; whenGone?: model.Expected; input?: Record<string, unknown> } = {},
): Plan {
  return (m, _ground, numbers) => {
    const vm = pick(m.vms, numbers[0])
    const isThere = vm !== undefined && vm.state !== 'gone'
    return {
      api,
      input: { [options.uuid ?? 'uuid']: vm?.uuid ?? ghost, ...options.input },
      expected: isThere ? change(m, vm, numbers) : (options.whenGone ?? model.notFound),
    }
  }
}

const from = (states: readonly ModelVm['state'][], to: ModelVm['state']) => (_m: Model, vm: ModelVm) =>
  states.includes(vm.state) ? model.done(vm, { state: to }) : model.wrongVmState

const create: Plan = (m, ground, [, , host, variant]) => {
  const wanted = variant % 3 === 0 ? pick(m.hosts, host) : undefined
  const isNowhere = variant % 3 === 0 && wanted === undefined
  const strategy = variant % 2 === 0 ? 'InstantStart' : 'CreateStopped'
  const allowed = (wanted === undefined ? m.hosts : [wanted]).filter((h) => model.hasRoom(m, h))
  const input = {
    name: 'vm',
    imageUuid: ground.image,
    instanceOfferingUuid: ground.instanceOffering,
    l3NetworkUuids: [ground.l3],
    strategy,
    ...(wanted === undefined ? {} : { hostUuid: wanted }),
    ...(isNowhere ? { hostUuid: ghost } : {}),
  }
  const learn = (inventory: Record<string, unknown>) => {
    const state = strategy === 'InstantStart' ? ('Running' as const) : ('Stopped' as const)
    const vm: ModelVm = { uuid: String(inventory.uuid), state, host: '', root: '', nic: undefined }
    const root = String(inventory.rootVolumeUuid)
    const size = model.imageBytes.virtual
    m.volumes.push({ uuid: root, type: 'Root', size, status: 'Ready', was: 'Ready', vm: vm.uuid, host: '' })
    const problem =
      model.learnHost(m, vm, inventory.lastHostUuid, allowed) ?? model.learnNic(m, vm, inventory)
    m.vms.push(Object.assign(vm, { root }))
    return problem
  }
  const expected = (): model.Expected => {
    if (isNowhere) return model.notFound
    if (allowed.length === 0) return model.noHost
    return model.hasAddress(m) ? { learn } : model.refused('L3.1000')
  }
  return { api: createVmInstance, input, expected: expected() }
}

const migrate: Plan = (m, _ground, [which, , host, variant]) => {
  const vm = pick(m.vms, which)
  const wanted = variant % 2 === 0 ? pick(m.hosts, host) : undefined
  const isNowhere = variant % 2 === 0 && wanted === undefined
  const hostUuid = isNowhere ? ghost : wanted
  const others = m.hosts.filter((h) => h !== vm?.host && (wanted === undefined || h === wanted))
  const allowed = others.filter((h) => model.hasRoom(m, h))
  const expected = (): model.Expected => {
    if (vm === undefined || vm.state === 'gone' || isNowhere) return model.notFound
    if (vm.state !== 'Running') return model.wrongVmState
    if (wanted === vm.host) return model.refused('VM.1008')
    if (allowed.length === 0) return model.noHost
    return { learn: (inventory) => model.learnHost(m, vm, inventory.hostUuid, allowed) }
  }
  const input = { vmInstanceUuid: vm?.uuid ?? ghost, ...(hostUuid === undefined ? {} : { hostUuid }) }
  return { api: migrateVm, input, expected: expected() }
}

const attachNic: Plan = (m, ground, [which]) => {
  const vm = pick(m.vms, which)
  const expected = (): model.Expected => {
    if (vm === undefined || vm.state === 'gone') return model.notFound
    if (vm.state !== 'Running' && vm.state !== 'Stopped') return model.wrongVmState
    if (vm.nic !== undefined) return model.badArgument
    if (!model.hasAddress(m)) return model.refused('L3.1000')
    return { learn: (inventory) => model.learnNic(m, vm, inventory) }
  }
  const input = { vmInstanceUuid: vm?.uuid ?? ghost, l3NetworkUuid: ground.l3 }
  return { api: attachL3NetworkToVm, input, expected: expected() }
}

const detachNic: Plan = (m, _ground, [which]) => {
  const vm = pick(m.vms, which)
  const expected = (): model.Expected => {
    if (vm?.nic === undefined) return model.notFound
    if (vm.state !== 'Running' && vm.state !== 'Stopped') return model.wrongVmState
    return model.done(vm, { nic: undefined })
  }
  return { api: detachL3NetworkFromVm, input: { vmNicUuid: vm?.nic?.uuid ?? ghost }, expected: expected() }
}

function start(m: Model, vm: ModelVm): model.Expected {
  if (vm.state !== 'Stopped') return model.wrongVmState
  if (!model.hasRoom(m, vm.host)) return model.noHost
  return model.done(vm, { state: 'Running' })
}

function expunge(m: Model, vm: ModelVm): model.Expected {
  if (vm.state !== 'Destroyed') return model.wrongVmState
  const learn = () => {
    for (const volume of model.volumesOf(m, vm)) {
      volume.vm = undefined
      if (volume.uuid === vm.root) Object.assign(volume, { status: 'gone', host: undefined })
    }
    Object.assign(vm, { state: 'gone', nic: undefined })
    return undefined
  }
  return { learn }
}

export const vmPlans: Readonly<Record<string, Plan>> = {
  create,
  start: onVm(power.startVmInstance, start),
  // What is off already needs no stopping.
  stop: onVm(power.stopVmInstance, from(['Running', 'Paused', 'Stopped'], 'Stopped'), {
    input: { type: 'cold' },
  }),
  reboot: onVm(power.rebootVmInstance, from(['Running'], 'Running')),
  pause: onVm(power.pauseVmInstance, from(['Running'], 'Paused')),
  resume: onVm(power.resumeVmInstance, from(['Paused'], 'Running')),
  migrate,
  destroy: onVm(
    deletion.destroyVmInstance,
    from(['Running', 'Paused', 'Stopped', 'Destroyed'], 'Destroyed'),
    { whenGone: model.done() },
  ),
  recover: onVm(deletion.recoverVmInstance, from(['Destroyed'], 'Stopped')),
  expunge: onVm(deletion.expungeVmInstance, expunge),
  attachNic,
  detachNic,
}
