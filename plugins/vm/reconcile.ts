import type { AgentEvent } from '#agent-rpc'
import { listVms, vmStateEvent } from '#agents/kvm-host/contract/host.ts'
import { defineMessage } from '#contract'
import { find, findOne, oneOf, type Session } from '#db'
import { CloudError, describeError, isUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { hostErrors } from '#plugins/host/contract/errors.ts'
import { hostHook } from '#plugins/host/contract/extensions.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { hostStatus } from '#plugins/host/contract/states.ts'
import { restoreServices } from '#plugins/network-service/contract/messages.ts'
import { convergeServices, nicsOnHost, vmKey } from './contract/messages.ts'
import { type VmInstance, vmInstance } from './contract/resources.ts'
import { liveStates, restingStates, vmState } from './contract/states.ts'
import { settleVm } from './steps/settle.ts'
import { findVm, patchVm, vmsIn } from './store.ts'

interface Settle {
  readonly vmUuid: string
  /** The host cannot be asked: the VM's state is unknown. */
  readonly isHostAway: boolean
}

const LOOK_AGAIN_SECONDS = 5
// When there are more, it goes by hosts, so many at a turn.
const MANY_UNKNOWN = 300
const HOSTS_AT_A_TURN = 20

const settle = defineMessage<Settle, void>('vm.settle')

/** Keeps the states of VMs true to what their hosts say. */
export function observeHosts(ctx: PluginContext): void {
  // VMs whose news waits to be looked at. News says nothing but that it is time to ask, so that once is enough for many.
  const waiting = new Set<string>()
  // What could not be looked at when it was time: the host answered its own node, but not the node of the VM.
  const failed = new Map<string, Settle>()
  const settleQuietly = (what: Settle) => trySettle(ctx, failed, what)
  const nextUnknown = unknownByTurns(ctx.db, { many: MANY_UNKNOWN, hostsAtATurn: HOSTS_AT_A_TURN })
  ctx.every(
    'look again at VMs',
    () => LOOK_AGAIN_SECONDS,
    async () => lookAgain(ctx, failed, await nextUnknown()),
    'each node',
  )
  ctx.serve(settle, async ({ vmUuid, isHostAway }) => {
    if (isHostAway) return ctx.bus.enter(vmKey(vmUuid), 'host away', () => markUnknown(ctx, vmUuid))
    if (waiting.has(vmUuid)) return
    waiting.add(vmUuid)
    const look = () => {
      // From here on the answer may be older than the next news.
      waiting.delete(vmUuid)
      return settleResting(ctx, vmUuid)
    }
    await ctx.bus.enter(vmKey(vmUuid), 'reconcile', look).finally(() => waiting.delete(vmUuid))
  })
  ctx.hook(hostHook, {
    connected: (host) => reconcileHost(ctx, host, settleQuietly),
    disconnected: async (host) => {
      for (const vm of await vmsIn(ctx.db, host.uuid, liveStates))
        await settleQuietly({ vmUuid: vm.uuid, isHostAway: true })
    },
    event: async (host, event) => {
      const vmUuid = vmInNews(event)
      if (vmUuid === undefined || waiting.has(vmUuid)) return
      const vm = await findVm(ctx.db, vmUuid)
      if (vm?.hostUuid === host.uuid) await settleQuietly({ vmUuid, isHostAway: false })
    },
    beforeMaintain: async (host) => {
      const reason = await whatRunsOn(ctx, host)
      if (reason !== undefined) throw new CloudError(hostErrors.unableToMaintain, reason)
    },
    beforeDelete: async (host) => {
      const reason = await whatRunsOn(ctx, host)
      if (reason !== undefined) throw new CloudError(sysErrors.deleteResource, reason)
    },
  })
}

async function whatRunsOn(ctx: PluginContext, host: Host): Promise<string | undefined> {
  const [vm, ...more] = await find(ctx.db, vmInstance, { hostUuid: host.uuid })
  if (vm === undefined) return undefined
  const others = more.length === 0 ? '' : ` and ${more.length} more`
  return `the host ${host.name} still runs the VM ${vm.name}[uuid:${vm.uuid}]${others}; move or stop them first`
}

/** The VM an event of a host tells about, when somebody but us changed its state. */
function vmInNews({ name, data }: AgentEvent): string | undefined {
  if (name !== vmStateEvent.name || data.byAgent === true) return undefined
  return typeof data.vmUuid === 'string' && isUuid(data.vmUuid) ? data.vmUuid : undefined
}

/** Compares what should be on a host with what is: states, then network services. Unknown domains are reported, never touched. */
async function reconcileHost(
  ctx: PluginContext,
  host: Host,
  settleQuietly: (what: Settle) => Promise<void>,
): Promise<void> {
  const { vms } = await (await agentOfHost(ctx, host.uuid)).call(listVms, {})
  const here = await find(ctx.db, vmInstance, { hostUuid: host.uuid })
  const [resting, busy] = [true, false].map((is) =>
    here.filter(({ state }) => restingStates.includes(state) === is),
  )
  for (const { uuid } of resting ?? []) await settleQuietly({ vmUuid: uuid, isHostAway: false })
  const known = await find(ctx.db, vmInstance, { uuid: oneOf(vms.map((vm) => vm.vmUuid)) })
  const names = new Set(known.map((vm) => vm.uuid))
  for (const { vmUuid, state } of vms) {
    if (!names.has(vmUuid))
      ctx.log.warn({ hostUuid: host.uuid, vmUuid, state }, 'a host runs a domain this cloud does not know')
  }
  const nics = await ctx.bus.call(nicsOnHost, { hostUuid: host.uuid })
  await ctx.bus.call(restoreServices, { hostUuid: host.uuid, nics })
  await ctx.bus.call(convergeServices, { hostUuid: host.uuid, nics })
  // Those that are being worked on are looked at when that has ended: a guest may have gone with the boot it was started in.
  for (const { uuid } of busy ?? []) void settleQuietly({ vmUuid: uuid, isHostAway: false })
}

async function settleResting(ctx: PluginContext, vmUuid: string): Promise<void> {
  const vm = await findVm(ctx.db, vmUuid)
  if (vm === undefined || !restingStates.includes(vm.state)) return
  const state = await settleVm(ctx, vmUuid)
  if (state !== vm.state) ctx.log.info({ vmUuid, from: vm.state, to: state }, 'VM state changed on its host')
}

async function markUnknown(ctx: PluginContext, vmUuid: string): Promise<void> {
  const vm = await findVm(ctx.db, vmUuid)
  if (vm !== undefined && liveStates.includes(vm.state))
    await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.unknown }))
}

/** In the VM's queue, on the node that owns it; what fails is tried again soon. */
async function trySettle(ctx: PluginContext, failed: Map<string, Settle>, what: Settle): Promise<void> {
  const { vmUuid } = what
  try {
    await ctx.bus.callNode(ctx.cluster.ownerOf(vmKey(vmUuid)), settle, what)
    failed.delete(vmUuid)
  } catch (error) {
    failed.set(vmUuid, what)
    ctx.log.warn({ vmUuid, err: describeError(error) }, 'the state of a VM could not be settled')
  }
}

/**
 * Gives VMs of unknown state whose host is there: all of them, or, when VMs of unknown state are many, those of the next hosts, and
 * after the last host the first again. Hosts that are away may have a million, of which not even the list is read: nothing can be
 * found out about them.
 */
export function unknownByTurns(
  db: Session,
  { many, hostsAtATurn }: { readonly many: number; readonly hostsAtATurn: number },
): () => Promise<VmInstance[]> {
  let offset = 0
  const unknown = { state: vmState.unknown }
  const there = { status: hostStatus.connected }
  return async () => {
    const some = await find(db, vmInstance, unknown, { limit: many })
    if (some.length < many) {
      const hosts = await find(db, host, { ...there, uuid: oneOf(hostUuidsOf(some)) })
      const uuids = new Set(hosts.map(({ uuid }) => uuid))
      return some.filter(({ hostUuid = '' }) => uuids.has(hostUuid))
    }
    const hosts = await find(db, host, there, { orderBy: ['uuid'], limit: hostsAtATurn, offset })
    offset = hosts.length < hostsAtATurn ? 0 : offset + hostsAtATurn
    return find(db, vmInstance, { ...unknown, hostUuid: oneOf(hosts.map(({ uuid }) => uuid)) })
  }
}

const hostUuidsOf = (vms: readonly VmInstance[]) => [
  ...new Set(vms.flatMap(({ hostUuid }) => hostUuid ?? [])),
]

/** Looks at VMs that could not be looked at, and at those of unknown state whose host is there. */
async function lookAgain(
  ctx: PluginContext,
  failed: Map<string, Settle>,
  unknown: readonly VmInstance[],
): Promise<void> {
  const own = unknown.map(({ uuid }) => uuid).filter((uuid) => ctx.cluster.owns(vmKey(uuid)))
  for (const vmUuid of new Set([...failed.keys(), ...own])) {
    const vm = await findVm(ctx.db, vmUuid)
    const at = vm?.hostUuid === undefined ? undefined : await findOne(ctx.db, host, { uuid: vm.hostUuid })
    const isHostAway = at !== undefined && at.status !== hostStatus.connected
    if (vm === undefined || (isHostAway && vm.state === vmState.unknown)) failed.delete(vmUuid)
    else await trySettle(ctx, failed, { vmUuid, isHostAway })
  }
}
