import { findOne, insert, remove, update } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { defineStep, defineWorkflow, type Flow, type Workflow } from '#workflow'
import type { HostConnections } from './connection.ts'
import { hostConnector, hostHook } from './contract/extensions.ts'
import type { AddHostInput } from './contract/messages.ts'
import { type Host, host } from './contract/resources.ts'
import { hostStatus } from './contract/states.ts'

/** Adds a host: its rows, then the connection with all that plugins prepare there. */
export function addHostWorkflow(
  ctx: PluginContext,
  connections: HostConnections,
): Workflow<AddHostInput, Host> {
  const insertRows = defineStep<AddHostInput, void>({
    name: 'insert-host',
    run: async ({ host: row, extension }) => {
      const resource =
        extension === undefined ? undefined : ctx.query.registry.byInventory(extension.inventory)
      await ctx.db.write(async (tx) => {
        if ((await findOne(tx, host, { uuid: row.uuid })) !== undefined) return
        refuseSecond(await findOne(tx, host, { managementIp: row.managementIp }))
        await insert(tx, host, row)
        if (resource !== undefined && extension !== undefined)
          await insert(tx, resource, extension.row as never)
      })
    },
    undo: async ({ host: row, extension }) => {
      const resource =
        extension === undefined ? undefined : ctx.query.registry.byInventory(extension.inventory)
      await ctx.db.write(async (tx) => {
        if (resource !== undefined) await remove(tx, resource, { uuid: row.uuid } as never)
        await remove(tx, host, { uuid: row.uuid })
      })
    },
  })

  const connect = defineStep<Host, void>({
    name: 'connect',
    run: ({ uuid }) => connections.connect(uuid),
    undo: async (row) => {
      connections.unfollow(row.uuid)
      for (const hook of ctx.hooks(hostHook)) await hook.deleting?.(row)
      await ctx.driver(hostConnector, row.hypervisorType).forget(row.uuid)
    },
  })

  return defineWorkflow('host.add', [insertRows, connect], async (flow, input) => {
    await flow.step(insertRows, input)
    await flow.step(connect, input.host)
    return input.host
  })
}

/** Refuses an address that another host has. */
export function refuseSecond(other: Host | undefined): void {
  if (other === undefined) return
  const details = `the host ${other.name}[uuid:${other.uuid}] has the address ${other.managementIp} already`
  throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'managementIp' } })
}

/** Removes a host: what plugins keep about it, its agent, its rows. Goes on after a crash. */
export function deleteHostWorkflow(
  ctx: PluginContext,
  connections: HostConnections,
): Workflow<Host, Record<string, never>> {
  const removeAll = async (row: Host) => {
    for (const hook of ctx.hooks(hostHook)) await hook.deleting?.(row)
    await ctx.driver(hostConnector, row.hypervisorType).forget(row.uuid)
    await ctx.bus.call(removeTags, { resourceUuid: row.uuid })
    await ctx.db.write(async (tx) => {
      for (const child of ctx.query.registry.childrenOf(host))
        await remove(tx, child, { uuid: row.uuid } as never)
      await remove(tx, host, { uuid: row.uuid })
    })
  }
  // One step, and no connection beside it: while the rows are there, a restart or a ping may bring back what was removed.
  const removeHost = defineStep<Host, void>({
    name: 'remove-host',
    run: (row) => connections.leave(row.uuid, () => removeAll(row)),
    // What plugins had prepared may be gone: no VM may come here until it was connected anew.
    undo: async ({ uuid }) => {
      const away = { status: hostStatus.disconnected, lastOpDate: Date.now() }
      await ctx.db.write((tx) => update(tx, host, { uuid }, away))
    },
  })
  const body = async (flow: Flow, row: Host) => {
    await flow.step(removeHost, row)
    return {}
  }
  return defineWorkflow('host.delete', [removeHost], body, { afterCrash: 'resume' })
}
