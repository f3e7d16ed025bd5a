import type { AgentHandlers, UpgradeRoute } from '#agent-rpc'
import type { kvmHostCalls } from '../contract/index.ts'
import { LibvirtClient } from './client.ts'
import { consoleRoute, type OpenConsoles, openConsole } from './console.ts'
import { type LibvirtDeps, libvirtUri, type VmContext, vmQueue } from './deps.ts'
import { plugDisk, plugNic, unplugDisk, unplugNic } from './devices.ts'
import { listDomains, readDomain, withDomain } from './domain.ts'
import { DomainWatch } from './domain-watch.ts'
import { destroyDomain, pauseDomain, resumeDomain, startDomain, stopDomain } from './power.ts'

type AllHandlers = AgentHandlers<typeof kvmHostCalls>

export type LibvirtHandlers = Pick<
  AllHandlers,
  | 'listVms'
  | 'startVm'
  | 'stopVm'
  | 'rebootVm'
  | 'pauseVm'
  | 'resumeVm'
  | 'destroyVm'
  | 'vmInfo'
  | 'attachVolume'
  | 'detachVolume'
  | 'attachNic'
  | 'detachNic'
  | 'consoleInfo'
>

export interface LibvirtArea {
  readonly handlers: LibvirtHandlers
  readonly upgradeRoutes: readonly UpgradeRoute[]
  /** For the other areas that speak with libvirt. */
  readonly context: VmContext
  dispose(): Promise<void>
}

/**
 * The commands about virtual machines. Connects to libvirt and reports state changes as events; an absent libvirtd is
 * waited for in the background while commands fail with that reason.
 */
export async function createLibvirtHandlers(deps: LibvirtDeps): Promise<LibvirtArea> {
  const client = new LibvirtClient(libvirtUri(deps.config.libvirtSocket), deps.logger)
  const watch = new DomainWatch({ client, logger: deps.logger, emit: deps.emit })
  const context: VmContext = { ...deps, client, watch }
  const consoles: OpenConsoles = new Map()
  await watch.start()
  return {
    context,
    handlers: { ...powerHandlers(context), ...deviceHandlers(context), ...viewHandlers(context, consoles) },
    upgradeRoutes: [consoleRoute(consoles)],
    dispose: async () => {
      await watch.dispose()
      await client.dispose()
    },
  }
}

/** Runs a command about one VM after the earlier ones about it. */
function inTurn<T>(
  context: VmContext,
  vmUuid: string,
  label: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  return context.queues.run(vmQueue(vmUuid), label, () => context.watch.command(vmUuid, work), signal)
}

function powerHandlers(context: VmContext) {
  return {
    startVm: ({ vm, paused }, { signal }) =>
      inTurn(context, vm.vmUuid, 'vm.start', signal, async () => ({
        state: await startDomain(context, vm, paused ?? false),
      })),
    stopVm: ({ vmUuid, graceMs }, { signal }) =>
      inTurn(context, vmUuid, 'vm.stop', signal, async () => ({
        state: 'Stopped',
        forced: await stopDomain(context, vmUuid, graceMs, signal),
      })),
    rebootVm: ({ vm, graceMs }, { signal }) =>
      inTurn(context, vm.vmUuid, 'vm.reboot', signal, async () => {
        await stopDomain(context, vm.vmUuid, graceMs, signal)
        return { state: await startDomain(context, vm, false) }
      }),
    pauseVm: ({ vmUuid }, { signal }) =>
      inTurn(context, vmUuid, 'vm.pause', signal, async () => {
        await pauseDomain(context, vmUuid)
        return { state: 'Paused' }
      }),
    resumeVm: ({ vmUuid }, { signal }) =>
      inTurn(context, vmUuid, 'vm.resume', signal, async () => {
        await resumeDomain(context, vmUuid)
        return { state: 'Running' }
      }),
    destroyVm: ({ vmUuid }, { signal }) =>
      inTurn(context, vmUuid, 'vm.destroy', signal, async () => {
        await destroyDomain(context, vmUuid)
        await context.watch.settled(vmUuid, 'Stopped')
        return { state: 'Stopped' }
      }),
  } satisfies Partial<AllHandlers>
}

function deviceHandlers(context: VmContext) {
  return {
    attachVolume: ({ vmUuid, disk }, { signal }) =>
      inTurn(context, vmUuid, 'vm.attach-volume', signal, async () => {
        await plugDisk(context, vmUuid, disk)
        return {}
      }),
    detachVolume: ({ vmUuid, installPath }, { signal }) =>
      inTurn(context, vmUuid, 'vm.detach-volume', signal, async () => {
        await unplugDisk(context, vmUuid, installPath, signal)
        return {}
      }),
    attachNic: ({ vmUuid, nic }, { signal }) =>
      inTurn(context, vmUuid, 'vm.attach-nic', signal, async () => {
        await plugNic(context, vmUuid, nic)
        return {}
      }),
    detachNic: ({ vmUuid, mac }, { signal }) =>
      inTurn(context, vmUuid, 'vm.detach-nic', signal, async () => {
        await unplugNic(context, vmUuid, mac, signal)
        return {}
      }),
  } satisfies Partial<AllHandlers>
}

function viewHandlers(context: VmContext, consoles: OpenConsoles) {
  return {
    listVms: async () => {
      const domains = await context.client.use(listDomains)
      // A domain on its way between hosts belongs to whoever commands the migration.
      const ours = domains.filter((domain) => domain.ours && !domain.moving)
      const vms = ours.map(({ name, state }) => ({ vmUuid: name, state }))
      return { vms, unknown: domains.filter((domain) => !domain.ours).map((domain) => domain.name) }
    },
    vmInfo: ({ vmUuid }) =>
      withDomain(context.client, vmUuid, async (domain) => {
        if (domain === undefined) return { state: 'Stopped', disks: [], nics: [], cpuNum: 0, memoryBytes: 0 }
        const live = await readDomain(domain)
        const disks = live.disks.filter((disk) => disk.device === 'disk')
        return {
          state: domain.state,
          disks: disks.map(({ path, target, cacheMode }) => ({ path, target, cacheMode })),
          nics: live.nics.map(({ mac, deviceName, bridge }) => ({ mac, deviceName, bridge })),
          cpuNum: live.cpuNum,
          memoryBytes: live.memoryBytes,
        }
      }),
    consoleInfo: async ({ vmUuid }) => ({ socketPath: await openConsole(context, consoles, vmUuid) }),
  } satisfies Partial<AllHandlers>
}
