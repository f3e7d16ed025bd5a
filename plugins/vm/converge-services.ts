import { defineMessage } from '#contract'
import { find, findOne, oneOf } from '#db'
import { describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { host } from '#plugins/host/contract/resources.ts'
import type { NicsOnHost } from '#plugins/network-service/contract/messages.ts'
import { applyServices, removeServices } from '#plugins/network-service/contract/messages.ts'
import { convergeServices, nicsOnHost, vmKey } from './contract/messages.ts'
import { vmInstance, vmNic } from './contract/resources.ts'
import { restingStates, servedStates } from './contract/states.ts'
import { servedNics } from './spec.ts'
import { findVm, vmsIn } from './store.ts'

interface VmNics extends NicsOnHost {
  readonly vmUuid: string
}

const AGAIN_SECONDS = 5

const convergeVm = defineMessage<VmNics, void>('vm.convergeServices', ({ vmUuid }) => vmKey(vmUuid), {
  idempotent: true,
})

/**
 * Whoever serves all NICs of a host at once works with a list, and VMs come and go meanwhile: a lease that its VM gave back may be made
 * again, or one that was just made be wiped. So it tells afterwards what it served, and each VM that was not at rest all along is
 * looked at in its queue, when what it was doing has ended.
 */
export function serveNics(ctx: PluginContext): void {
  // What could not be settled when it was time, by VM and host.
  const failed = new Map<string, VmNics>()
  const later = (what: VmNics) => void convergeLater(ctx, failed, what)
  const again = async () => {
    for (const [name, what] of [...failed]) {
      const isThere = (await findOne(ctx.db, host, { uuid: what.hostUuid })) !== undefined
      if (isThere) await convergeLater(ctx, failed, what)
      else failed.delete(name)
    }
  }
  ctx.every('settle services again', () => AGAIN_SECONDS, again, 'each node')
  ctx.serve(nicsOnHost, async ({ hostUuid }) => {
    const nics = []
    for (const { uuid } of await vmsIn(ctx.db, hostUuid, servedStates))
      nics.push(...(await servedNics(ctx, uuid)))
    return nics
  })
  ctx.serve(convergeServices, async ({ hostUuid, nics }) => {
    const served = Map.groupBy(nics, (nic) => nic.vmUuid)
    for (const { uuid } of await vmsIn(ctx.db, hostUuid, servedStates))
      if (!served.has(uuid)) served.set(uuid, [])
    const quiet = await atRest(ctx, hostUuid, nics)
    for (const [vmUuid, own] of served) if (!quiet.has(vmUuid)) later({ hostUuid, vmUuid, nics: own })
  })
  ctx.serve(convergeVm, ({ hostUuid, vmUuid, nics }) => converge(ctx, { hostUuid, vmUuid, nics }))
}

/** VMs that rest on the host with the very NICs that were served. */
async function atRest(ctx: PluginContext, hostUuid: string, nics: NicsOnHost['nics']): Promise<Set<string>> {
  const uuid = oneOf([...new Set(nics.map((nic) => nic.vmUuid))])
  const vms = await find(ctx.db, vmInstance, { uuid, hostUuid, state: oneOf(restingStates) })
  const rows = await find(ctx.db, vmNic, { vmInstanceUuid: uuid })
  const now = Map.groupBy(rows, (row) => row.vmInstanceUuid)
  const same = (vmUuid: string) => {
    const were = nics.filter((nic) => nic.vmUuid === vmUuid).map((nic) => nic.nicUuid)
    const are = (now.get(vmUuid) ?? []).map((row) => row.uuid)
    return were.length === are.length && are.every((nic) => were.includes(nic))
  }
  return new Set(vms.map((vm) => vm.uuid).filter(same))
}

/** Never rejects, as nobody waits for it: the VM may be at work for long, and its work may wait for the host. */
async function convergeLater(ctx: PluginContext, failed: Map<string, VmNics>, what: VmNics): Promise<void> {
  const { hostUuid, vmUuid } = what
  const name = `${vmUuid} ${hostUuid}`
  try {
    await ctx.bus.call(convergeVm, what)
    failed.delete(name)
  } catch (error) {
    ctx.log.warn({ hostUuid, vmUuid, err: describeError(error) }, 'the services of a VM could not be settled')
    failed.set(name, what)
  }
}

async function converge(ctx: PluginContext, { hostUuid, vmUuid, nics }: VmNics): Promise<void> {
  const vm = await findVm(ctx.db, vmUuid)
  const isHere = vm !== undefined && vm.hostUuid === hostUuid && servedStates.includes(vm.state)
  const wanted = isHere ? await servedNics(ctx, vmUuid) : []
  const stale = nics.filter((nic) => !wanted.some(({ nicUuid }) => nicUuid === nic.nicUuid))
  if (stale.length > 0) await ctx.bus.call(removeServices, { hostUuid, nics: stale })
  if (wanted.length > 0) await ctx.bus.call(applyServices, { hostUuid, nics: wanted })
}
