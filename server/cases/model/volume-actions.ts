import type { Api } from '#contract'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm, detachDataVolumeFromVm } from '#plugins/volume/contract/attachment-apis.ts'
import * as deletion from '#plugins/volume/contract/deletion-apis.ts'
import { type Action, ghost, type Numbers, type Plan, pick } from './actions.ts'
import * as model from './reference.ts'

const wrongVolumeState = model.refused('VOLUME.1002')
const inUse = model.refused('VOLUME.1000')

/** Something done to a volume that must be there. */
function onVolume(
  api: Api,
  change: (m: model.Model, volume: model.ModelVolume, numbers: Numbers) => model.Expected,
  whenGone: model.Expected,
): Plan {
  return (m, _ground, numbers) => {
    const volume = pick(m.volumes, numbers[1])
    const isThere = volume !== undefined && volume.status !== 'gone'
    const input = { uuid: volume?.uuid ?? ghost }
    return { api, input, expected: isThere ? change(m, volume, numbers) : whenGone }
  }
}

const create: Plan = (m, ground, [, , , variant]): Action => {
  const isMadeAtOnce = variant % 3 === 0
  const isBad = variant % 7 === 1
  // Left to itself the cloud chooses one of those with the most space.
  const host = m.hosts[variant % m.hosts.length]
  const learn = (inventory: Record<string, unknown>) => {
    const status = isMadeAtOnce ? ('Ready' as const) : ('NotInstantiated' as const)
    m.volumes.push({
      uuid: String(inventory.uuid),
      type: 'Data',
      size: model.diskBytes,
      status,
      was: status,
      vm: undefined,
      host: isMadeAtOnce ? host : undefined,
    })
    return undefined
  }
  const input = {
    name: 'volume',
    ...(isBad ? { diskSize: 0 } : { diskOfferingUuid: ground.diskOffering }),
    ...(isMadeAtOnce
      ? { primaryStorageUuid: ground.primaryStorage, systemTags: [`localStorage::hostUuid::${host}`] }
      : {}),
  }
  return { api: createDataVolume, input, expected: isBad ? model.badArgument : { learn } }
}

const attach: Plan = (m, _ground, [whichVm, whichVolume]) => {
  const vm = pick(m.vms, whichVm)
  const volume = pick(m.volumes, whichVolume)
  const expected = (): model.Expected => {
    if (vm === undefined || vm.state === 'gone') return model.notFound
    if (volume === undefined || volume.status === 'gone') return model.notFound
    if (volume.type === 'Root') return model.badArgument
    if (volume.vm !== undefined) return inUse
    if (volume.status === 'Deleted') return wrongVolumeState
    if (vm.state !== 'Running' && vm.state !== 'Stopped') return model.wrongVmState
    if (volume.host !== undefined && volume.host !== vm.host) return wrongVolumeState
    return model.done(volume, { vm: vm.uuid, host: vm.host, status: 'Ready', was: 'Ready' })
  }
  const input = { vmInstanceUuid: vm?.uuid ?? ghost, volumeUuid: volume?.uuid ?? ghost }
  return { api: attachDataVolumeToVm, input, expected: expected() }
}

function detach(m: model.Model, volume: model.ModelVolume): model.Expected {
  if (volume.type === 'Root') return model.badArgument
  const vm = m.vms.find(({ uuid }) => uuid === volume.vm)
  if (vm === undefined) return wrongVolumeState
  if (vm.state !== 'Running' && vm.state !== 'Stopped') return model.wrongVmState
  return model.done(volume, { vm: undefined })
}

function remove(_m: model.Model, volume: model.ModelVolume): model.Expected {
  if (volume.type === 'Root') return model.badArgument
  if (volume.vm !== undefined) return inUse
  return model.done(volume, { status: 'Deleted' })
}

export const volumePlans: Readonly<Record<string, Plan>> = {
  createVolume: create,
  attachVolume: attach,
  detachVolume: onVolume(detachDataVolumeFromVm, detach, model.notFound),
  deleteVolume: onVolume(deletion.deleteDataVolume, remove, model.done()),
  recoverVolume: onVolume(
    deletion.recoverDataVolume,
    (_m, volume) =>
      volume.status === 'Deleted' ? model.done(volume, { status: volume.was }) : wrongVolumeState,
    model.notFound,
  ),
  expungeVolume: onVolume(
    deletion.expungeDataVolume,
    (_m, volume) =>
      volume.status === 'Deleted'
        ? model.done(volume, { status: 'gone', host: undefined })
        : wrongVolumeState,
    model.done(),
  ),
}
