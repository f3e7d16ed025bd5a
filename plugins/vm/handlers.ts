import type { Input } from '#contract'
import { CloudError, sysErrors, uuidTaken } from '#kernel'
import type { ApiCall, PluginContext } from '#plugin-host'
import { findHosts } from '#plugins/host/contract/messages.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { needsCopy } from '#plugins/primary-storage/contract/messages.ts'
import { checkTags } from '#plugins/tag/contract/messages.ts'
import type { Volume } from '#plugins/volume/contract/resources.ts'
import { gracefulStop } from './contract/configs.ts'
import { createVmInstance, updateVmInstance } from './contract/create-apis.ts'
import { vmErrors } from './contract/errors.ts'
import { vmKey } from './contract/messages.ts'
import { getVmMigrationCandidateHosts, migrateVm } from './contract/migration-apis.ts'
import * as power from './contract/power-apis.ts'
import { type VmInstance, vmInstance } from './contract/resources.ts'
import { type StatePredicate, vmCan } from './contract/states.ts'
import { MIN_MEMORY_BYTES, planVm } from './plan.ts'
import { findVm, getVm, nicsOf, patchVm, volumesOf } from './store.ts'
import { createVmWorkflow } from './workflows/create.ts'
import { migrateVmWorkflow } from './workflows/migrate.ts'
import * as workflows from './workflows/power.ts'

const key = (input: { uuid: string }) => vmKey(input.uuid)

/** Refuses what the VM's state does not allow, telling which states would. */
export function requireState(vm: VmInstance, can: StatePredicate, what: string): void {
  if (can(vm)) return
  const details = `the VM ${vm.name}[uuid:${vm.uuid}] is ${vm.state}; it can be ${what} only when ${can.states.join(' or ')}`
  throw new CloudError(vmErrors.wrongState, details)
}

/** The VM with the host it is on. */
export async function vmOnHost(
  ctx: PluginContext,
  uuid: string,
  can: StatePredicate,
  what: string,
): Promise<{ vm: VmInstance; hostUuid: string }> {
  const vm = await getVm(ctx.db, uuid)
  requireState(vm, can, what)
  if (vm.hostUuid === undefined)
    throw new CloudError(vmErrors.wrongState, `the VM ${vm.name} is ${vm.state} but on no host`)
  return { vm, hostUuid: vm.hostUuid }
}

export function handleCreation(ctx: PluginContext): void {
  const create = ctx.workflow(createVmWorkflow(ctx))
  ctx.handle(
    createVmInstance,
    async (input, call) => {
      await ctx.bus.call(checkTags, { resourceType: 'VmInstanceVO', systemTags: input.systemTags })
      const plan = await planVm(ctx, input, call)
      // In its queue nobody else can be creating it; the steps of the workflow take an existing row for their own.
      if ((await findVm(ctx.db, plan.vm.uuid)) !== undefined) throw uuidTaken('VM', plan.vm.uuid)
      return call.run(create, plan)
    },
    { key: ({ resourceUuid = '' }) => vmKey(resourceUuid), creates: true },
  )
  ctx.handle(updateVmInstance, (input) => updateVm(ctx, input), { key })
}

async function updateVm(ctx: PluginContext, input: Input<typeof updateVmInstance>) {
  const { uuid, name, description, platform, guestOsType, defaultL3NetworkUuid, cpuNum, memorySize } = input
  const vm = await getVm(ctx.db, uuid)
  if (cpuNum !== undefined || memorySize !== undefined)
    requireState(vm, vmCan.resize, 'given other CPUs or memory')
  if (memorySize !== undefined && memorySize < MIN_MEMORY_BYTES)
    throw badUpdate('memorySize', `a VM needs at least 16 MiB of memory, got ${memorySize} bytes`)
  const networks = (await nicsOf(ctx.db, uuid)).map((nic) => nic.l3NetworkUuid)
  if (defaultL3NetworkUuid !== undefined && !networks.includes(defaultL3NetworkUuid))
    throw badUpdate(
      'defaultL3NetworkUuid',
      `the VM ${vm.name} has no NIC on the L3 network ${defaultL3NetworkUuid}`,
    )
  const given = { name, description, platform, guestOsType, defaultL3NetworkUuid, cpuNum, memorySize }
  const patch = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  await ctx.db.write((tx) => patchVm(tx, uuid, patch))
  return { inventory: await ctx.query.view(vmInstance, uuid) }
}

function badUpdate(field: string, reason: string): CloudError {
  const details = `field[${field}] of UpdateVmInstance: ${reason}`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field } })
}

export function handlePower(ctx: PluginContext): void {
  const start = ctx.workflow(workflows.startVmWorkflow(ctx))
  const stop = ctx.workflow(workflows.stopVmWorkflow(ctx))
  const reboot = ctx.workflow(workflows.rebootVmWorkflow(ctx))
  const pause = ctx.workflow(workflows.pauseVmWorkflow(ctx))
  const resume = ctx.workflow(workflows.resumeVmWorkflow(ctx))

  ctx.handle(
    power.startVmInstance,
    async ({ uuid, clusterUuid, hostUuid }, call) => {
      const vm = await getVm(ctx.db, uuid)
      requireState(vm, vmCan.start, 'started')
      const volumes = (await volumesOf(ctx.db, uuid)).map((v) => v.uuid)
      const networks = (await nicsOf(ctx.db, uuid)).flatMap((nic) => nic.l3NetworkUuid ?? [])
      const placement = await workflows.placementOf(ctx, uuid, volumes, networks, { clusterUuid, hostUuid })
      return call.run(start, { vmUuid: uuid, placement })
    },
    { key },
  )
  ctx.handle(
    power.stopVmInstance,
    async ({ uuid, type }, call) => {
      const vm = await getVm(ctx.db, uuid)
      // What is off already needs no stopping; a caller who repeats gets the same answer.
      if (vm.state === 'Stopped') return { inventory: await ctx.query.view(vmInstance, uuid) }
      const { hostUuid } = await vmOnHost(ctx, uuid, vmCan.stop, 'stopped')
      const graceMs = type === 'cold' ? 0 : ctx.config.get(gracefulStop) * 1000
      return call.run(stop, { vmUuid: uuid, hostUuid, graceMs })
    },
    { key },
  )
  ctx.handle(
    power.rebootVmInstance,
    ({ uuid }, call) => onHost(uuid, call, reboot, vmCan.reboot, 'rebooted'),
    { key },
  )
  ctx.handle(power.pauseVmInstance, ({ uuid }, call) => onHost(uuid, call, pause, vmCan.pause, 'paused'), {
    key,
  })
  ctx.handle(
    power.resumeVmInstance,
    ({ uuid }, call) => onHost(uuid, call, resume, vmCan.resume, 'resumed'),
    { key },
  )

  async function onHost(
    uuid: string,
    call: ApiCall,
    workflow: typeof reboot,
    can: StatePredicate,
    what: string,
  ) {
    const { hostUuid } = await vmOnHost(ctx, uuid, can, what)
    return call.run(workflow, { vmUuid: uuid, hostUuid })
  }
}

export function handleMigration(ctx: PluginContext): void {
  const migrate = ctx.workflow(migrateVmWorkflow(ctx))
  ctx.handle(
    migrateVm,
    async (input, call) => {
      const { vmInstanceUuid: vmUuid, hostUuid: wanted } = input
      const { vm, hostUuid: sourceUuid } = await vmOnHost(ctx, vmUuid, vmCan.migrate, 'migrated')
      if (wanted === sourceUuid)
        throw new CloudError(vmErrors.migrate, `the VM ${vm.name} runs on the host ${wanted} already`)
      const placement = { ...(await migrationSpec(ctx, vm, sourceUuid)), hostUuid: wanted }
      const autoConverge = input.strategy === 'auto-converge'
      return call.run(migrate, { vmUuid, sourceUuid, placement, autoConverge })
    },
    { key: (input) => vmKey(input.vmInstanceUuid) },
  )
  ctx.handle(getVmMigrationCandidateHosts, async ({ vmInstanceUuid }) => {
    const { vm, hostUuid } = await vmOnHost(ctx, vmInstanceUuid, vmCan.migrate, 'migrated')
    const { hosts } = await ctx.bus.call(findHosts, await migrationSpec(ctx, vm, hostUuid))
    const inventories = []
    for (const h of hosts) inventories.push(await ctx.query.view(host, h.uuid))
    return { inventories }
  })
}

async function migrationSpec(ctx: PluginContext, vm: VmInstance, sourceUuid: string) {
  const disks = await volumesOf(ctx.db, vm.uuid)
  const networks = (await nicsOf(ctx.db, vm.uuid)).flatMap((nic) => nic.l3NetworkUuid ?? [])
  const volumes = disks.map((v) => v.uuid)
  const spec = await workflows.placementOf(ctx, vm.uuid, volumes, networks, {})
  return {
    ...spec,
    avoidHostUuids: [sourceUuid],
    withStorageMigration: true,
    rootDiskBytes: await bytesToCopy(ctx, disks),
    preferredHostUuid: undefined,
  }
}

/** What the other host must have room for; undefined when every disk stays where it is. */
async function bytesToCopy(ctx: PluginContext, disks: readonly Volume[]): Promise<number | undefined> {
  let bytes = 0
  for (const { primaryStorageUuid, size } of disks) {
    if (primaryStorageUuid === undefined) continue
    if (await ctx.bus.call(needsCopy, { primaryStorageUuid })) bytes += size
  }
  return bytes === 0 ? undefined : bytes
}
