import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { CloudError, sysErrors } from '#kernel'
import type { AgentVmState } from '../contract/host.ts'
import type { VmSpec } from '../contract/vm.ts'
import type { LibvirtConnection } from './connection.ts'
import type { VmContext } from './deps.ts'
import { type FoundDomain, mustExist, unlessGone, withDomain } from './domain.ts'
import { buildDomainXml } from './domain-xml.ts'
import { loadLibvirt } from './ffi.ts'

const START_PAUSED = 1
const SHUTDOWN_BY_ACPI = 1
// A guest that is still booting does not hear the button, so it is pressed again.
const PRESS_AGAIN_MS = 5000
const RANDOM_DEVICE = '/dev/urandom'

/** Starts a VM as a transient domain: nothing of it stays in libvirt when it has ended. */
export async function startDomain(context: VmContext, vm: VmSpec, paused: boolean): Promise<AgentVmState> {
  await makeLogDirectory(context)
  const state = await withDomain(context.client, vm.vmUuid, async (domain, connection) => {
    if (domain?.state === 'Running' || domain?.state === 'Paused') return domain.state
    // What has crashed holds the name and the files.
    if (domain !== undefined) await destroy(domain)
    await create(context, connection, vm, paused)
    return paused ? 'Paused' : 'Running'
  })
  await context.watch.settled(vm.vmUuid, state)
  return state
}

/** Makes the directory a domain of ours writes to, before one starts or arrives here. */
export async function makeLogDirectory(context: VmContext): Promise<void> {
  await mkdir(context.config.serialLogDirectory, { recursive: true, mode: 0o750 })
}

async function create(
  context: VmContext,
  connection: LibvirtConnection,
  vm: VmSpec,
  paused: boolean,
): Promise<void> {
  const { api } = loadLibvirt()
  const host = {
    serialLogDirectory: context.config.serialLogDirectory,
    randomDevice: existsSync(RANDOM_DEVICE) ? RANDOM_DEVICE : undefined,
  }
  const start = async (cpuShares: boolean) => {
    const xml = buildDomainXml(vm, { ...host, cpuShares })
    const flags = paused ? START_PAUSED : 0
    api.domainFree(await connection.call(`start VM ${vm.vmUuid}`, api.createXml, xml, flags))
  }
  try {
    await start(true)
  } catch (error) {
    if (vm.cpuShares === undefined || !isWithoutCpuController(error)) throw error
    context.logger.warn(
      { vmUuid: vm.vmUuid },
      'this host has no cpu controller; the VM starts without cpu shares',
    )
    await start(false)
  }
}

function isWithoutCpuController(error: unknown): boolean {
  return error instanceof CloudError && error.details.includes('CPU tuning is not available')
}

/** Stops a VM; gives whether the power was cut. A VM that does not run is fine. */
export async function stopDomain(
  context: VmContext,
  vmUuid: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const poweredOff = graceMs > 0 && (await powerOff(context, vmUuid, graceMs, signal))
  const forced = !poweredOff && (await destroyDomain(context, vmUuid))
  await context.watch.settled(vmUuid, 'Stopped')
  return forced
}

/** Cuts the power. Gives false when there was nothing to do. */
export function destroyDomain(context: VmContext, vmUuid: string): Promise<boolean> {
  return withDomain(context.client, vmUuid, async (domain) => domain !== undefined && destroy(domain))
}

async function destroy(domain: FoundDomain): Promise<boolean> {
  const call = domain.connection.callOn(
    `cut the power of VM ${domain.vmUuid}`,
    loadLibvirt().api.domainDestroyFlags,
    domain.pointer,
    0,
  )
  return (await unlessGone(call)) !== undefined
}

/** Presses the power button until the guest is off or the time is over; gives whether it is off. */
async function powerOff(
  context: VmContext,
  vmUuid: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = performance.now() + graceMs
  for (;;) {
    const next = performance.now() + PRESS_AGAIN_MS
    const state = await pressButton(context, vmUuid)
    if (state === 'Stopped') return true
    // A guest that stands still cannot hear, so waiting for it is in vain.
    if (state !== 'Running') return false
    while (performance.now() < Math.min(next, deadline)) {
      await context.watch.changed(vmUuid, Math.min(next, deadline) - performance.now(), signal)
      signal.throwIfAborted()
      if ((await stateOf(context, vmUuid)) === 'Stopped') return true
    }
    if (performance.now() >= deadline) return false
  }
}

function pressButton(context: VmContext, vmUuid: string): Promise<AgentVmState> {
  return withDomain(context.client, vmUuid, async (domain) => {
    if (domain === undefined || domain.state !== 'Running') return domain?.state ?? 'Stopped'
    const { api } = loadLibvirt()
    const what = `press the power button of VM ${vmUuid}`
    const call = domain.connection.callOn(what, api.domainShutdownFlags, domain.pointer, SHUTDOWN_BY_ACPI)
    return (await unlessGone(call)) === undefined ? 'Stopped' : 'Running'
  })
}

/** The state of a VM as libvirt has it now. */
export function stateOf(context: VmContext, vmUuid: string): Promise<AgentVmState> {
  return withDomain(context.client, vmUuid, async (domain) => domain?.state ?? 'Stopped')
}

/** Freezes a running VM; one that is frozen is fine. */
export async function pauseDomain(context: VmContext, vmUuid: string): Promise<void> {
  await withDomain(context.client, vmUuid, async (found) => {
    const domain = mustExist(found, vmUuid, 'pause it')
    if (domain.state === 'Paused') return
    const { api } = loadLibvirt()
    await domain.connection.callOn(`pause VM ${vmUuid}`, api.domainSuspend, domain.pointer)
  })
  await context.watch.settled(vmUuid, 'Paused')
}

/** Lets a paused VM run on; one that runs is fine. */
export async function resumeDomain(context: VmContext, vmUuid: string): Promise<void> {
  await withDomain(context.client, vmUuid, async (found) => {
    const domain = mustExist(found, vmUuid, 'resume it')
    if (domain.state === 'Running') return
    if (domain.state === 'Crashed')
      throw new CloudError(
        sysErrors.changeState,
        `cannot resume VM ${vmUuid}: it has crashed and must be started again`,
      )
    const { api } = loadLibvirt()
    await domain.connection.callOn(`resume VM ${vmUuid}`, api.domainResume, domain.pointer)
  })
  await context.watch.settled(vmUuid, 'Running')
}
