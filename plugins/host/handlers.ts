import { count, find, findOne, get, not, oneOf, update } from '#db'
import { CloudError, describeError, type ErrorCode, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { clusterHook } from '#plugins/cluster/contract/extensions.ts'
import { addHostWorkflow, deleteHostWorkflow, refuseSecond } from './add-host.ts'
import { close, recount } from './allocation.ts'
import type { HostConnections } from './connection.ts'
import {
  changeHostState,
  deleteHost,
  getCpuMemoryCapacity,
  getHostAllocatorStrategies,
  getHypervisorTypes,
  reconnectHost,
  updateHost,
} from './contract/apis.ts'
import { cpuOverProvisioning, memoryOverProvisioning } from './contract/configs.ts'
import { hostErrors } from './contract/errors.ts'
import { hostConnector, hostHook } from './contract/extensions.ts'
import { addHost } from './contract/messages.ts'
import { type Host, host } from './contract/resources.ts'
import { hostState, hostStateAfter } from './contract/states.ts'

const key = (input: { uuid: string }) => `host:${input.uuid}`

export function handleHosts(ctx: PluginContext, connections: HostConnections): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(host, uuid) })
  const add = ctx.workflow(addHostWorkflow(ctx, connections))
  const removal = ctx.workflow(deleteHostWorkflow(ctx, connections))
  ctx.serve(addHost, async (input) => {
    try {
      return await ctx.workflows.run(add, input)
    } catch (error) {
      if (error instanceof CloudError && error.code === sysErrors.invalidArgument.code) throw error
      const { name, managementIp } = input.host
      const details = `the host ${name} at ${managementIp} could not be added: ${describeError(error)}; nothing of it was kept`
      throw new CloudError(hostErrors.unableToAdd, details, { cause: error })
    }
  })

  ctx.handle(
    updateHost,
    async ({ uuid, name, description, managementIp }) => {
      if (managementIp !== undefined) refuseSecond(await findOne(db, host, { managementIp, uuid: not(uuid) }))
      const given = Object.entries({ name, description, managementIp }).filter(
        ([, value]) => value !== undefined,
      )
      await db.write((tx) =>
        update(tx, host, { uuid }, { ...Object.fromEntries(given), lastOpDate: Date.now() }),
      )
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    changeHostState,
    async ({ uuid, stateEvent }) => {
      if (stateEvent === 'maintain') {
        const row = await get(db, host, uuid)
        for (const hook of ctx.hooks(hostHook)) await hook.beforeMaintain?.(row)
        await closeHost(ctx, row, hostErrors.unableToMaintain)
        return view(uuid)
      }
      const state = hostStateAfter[stateEvent]
      await db.write((tx) => update(tx, host, { uuid }, { state, lastOpDate: Date.now() }))
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    reconnectHost,
    async ({ uuid }) => {
      const row = await get(db, host, uuid)
      try {
        await connections.connect(uuid)
      } catch (error) {
        await connections.markDown(row)
        const details = `the host ${row.name} at ${row.managementIp} could not be reconnected: ${describeError(error)}`
        throw new CloudError(hostErrors.unableToReconnect, details, { cause: error })
      }
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    deleteHost,
    async ({ uuid }, call) => {
      const row = await get(db, host, uuid)
      for (const hook of ctx.hooks(hostHook)) await hook.beforeDelete?.(row)
      await closeHost(ctx, row, sysErrors.deleteResource)
      return call.run(removal, row)
    },
    { key },
  )
}

/** From here on the host takes no VMs. Refused while one is on its way to it. */
async function closeHost(ctx: PluginContext, row: Host, code: ErrorCode): Promise<void> {
  const vmUuid = await ctx.db.write((tx) => close(tx, row.uuid, hostState.maintenance))
  if (vmUuid === undefined) return
  const details = `the VM[uuid:${vmUuid}] is on its way to the host ${row.name}; try again when it has arrived or failed`
  throw new CloudError(code, details)
}

export function handleCapacity(ctx: PluginContext): void {
  ctx.handle(getHypervisorTypes, async () => ({ hypervisorTypes: [...ctx.drivers(hostConnector).keys()] }))
  ctx.handle(getHostAllocatorStrategies, async () => ({
    strategies: ['DefaultHostAllocatorStrategy', 'DesignatedHostAllocatorStrategy'],
  }))
  ctx.handle(getCpuMemoryCapacity, async ({ zoneUuids, clusterUuids, hostUuids, hypervisorType }) => {
    const rows = await find(ctx.db, host, {
      ...(zoneUuids === undefined ? {} : { zoneUuid: oneOf(zoneUuids) }),
      ...(clusterUuids === undefined ? {} : { clusterUuid: oneOf(clusterUuids) }),
      ...(hostUuids === undefined ? {} : { uuid: oneOf(hostUuids) }),
      ...(hypervisorType === undefined ? {} : { hypervisorType }),
    })
    const sum = (of: (row: (typeof rows)[number]) => number) =>
      rows.reduce((total, row) => total + of(row), 0)
    return {
      totalCpu: sum((r) => r.totalCpuCapacity),
      availableCpu: sum((r) => r.availableCpuCapacity),
      totalMemory: sum((r) => r.totalMemoryCapacity),
      availableMemory: sum((r) => r.availableMemoryCapacity),
      managedCpuNum: sum((r) => r.cpuNum),
    }
  })
  ctx.config.onChange(memoryOverProvisioning, () => recountAll(ctx))
  ctx.config.onChange(cpuOverProvisioning, () => recountAll(ctx))
  ctx.hook(clusterHook, {
    beforeDelete: async (clusterUuid) => {
      const left = await count(ctx.db, host, { clusterUuid })
      if (left === 0) return
      throw new CloudError(
        sysErrors.deleteResource,
        `the cluster ${clusterUuid} still has ${left} host(s); delete them first`,
      )
    },
  })
}

async function recountAll(ctx: PluginContext): Promise<void> {
  for (const { uuid } of await find(ctx.db, host, {}))
    await ctx.db.write((tx) => recount(tx, ctx.config, uuid))
}
