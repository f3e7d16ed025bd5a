import { CloudError, describeError, sysErrors } from '#kernel'
import type { DiskSpec, NicSpec } from '../contract/vm.ts'
import type { VmContext } from './deps.ts'
import { type FoundDomain, mustExist, readDomain, withDomain } from './domain.ts'
import type { LiveDomain } from './domain-parse.ts'
import { buildDiskXml, buildNicXml } from './domain-xml.ts'
import { loadLibvirt } from './ffi.ts'

const AFFECT_LIVE = 1
const UNPLUG_TIMEOUT_MS = 45_000
// An event can get lost when libvirtd restarts; the domain itself is looked at this often.
const LOOK_AGAIN_MS = 2000
// A guest that is still booting loses the request without a word; later ones reach it.
const ASK_AGAIN_MS = 5000

/** Plugs a disk into a running VM. One with the same file is fine. */
export function plugDisk(context: VmContext, vmUuid: string, disk: DiskSpec): Promise<void> {
  return withRunning(context, vmUuid, `attach volume ${disk.volumeUuid}`, async (domain, live, what) => {
    if (live.disks.some((present) => present.path === disk.installPath)) return
    await plug(domain, what, buildDiskXml(disk, live.machine))
  })
}

/** Plugs a network interface into a running VM. One with the same MAC is fine. */
export function plugNic(context: VmContext, vmUuid: string, nic: NicSpec): Promise<void> {
  return withRunning(context, vmUuid, `attach NIC ${nic.nicUuid}`, async (domain, live, what) => {
    if (live.nics.some((present) => present.mac === nic.mac)) return
    await plug(domain, what, buildNicXml(nic))
  })
}

/** Unplugs the disk with this file and waits until the guest let go. A VM that does not run, or has no such disk, is fine. */
export function unplugDisk(
  context: VmContext,
  vmUuid: string,
  installPath: string,
  signal: AbortSignal,
): Promise<void> {
  const find = (live: LiveDomain) =>
    live.disks.find((d) => d.device === 'disk' && d.path === installPath)?.alias
  return unplug(context, vmUuid, { what: `detach volume ${installPath} from VM ${vmUuid}`, find, signal })
}

/** Unplugs the interface with this MAC and waits until the guest let go. One that is not there is fine. */
export function unplugNic(
  context: VmContext,
  vmUuid: string,
  mac: string,
  signal: AbortSignal,
): Promise<void> {
  const find = (live: LiveDomain) => live.nics.find((nic) => nic.mac === mac.toLowerCase())?.alias
  return unplug(context, vmUuid, { what: `detach NIC ${mac} from VM ${vmUuid}`, find, signal })
}

function withRunning(
  context: VmContext,
  vmUuid: string,
  verb: string,
  work: (domain: FoundDomain, live: LiveDomain, what: string) => Promise<void>,
): Promise<void> {
  return withDomain(context.client, vmUuid, async (found) => {
    const domain = mustExist(found, vmUuid, verb)
    await work(domain, await readDomain(domain), `${verb} to VM ${vmUuid}`)
  })
}

async function plug(domain: FoundDomain, what: string, xml: string): Promise<void> {
  await domain.connection.callOn(what, loadLibvirt().api.domainAttachDevice, domain.pointer, xml, AFFECT_LIVE)
}

interface Unplug {
  readonly what: string
  readonly find: (live: LiveDomain) => string | undefined
  readonly signal: AbortSignal
}

async function unplug(context: VmContext, vmUuid: string, { what, find, signal }: Unplug): Promise<void> {
  const alias = await requestUnplug(context, vmUuid, what, find)
  if (alias === undefined) return
  const deadline = performance.now() + UNPLUG_TIMEOUT_MS
  for (let askAgainAt = performance.now() + ASK_AGAIN_MS; ; ) {
    const news = context.watch.devices.take(vmUuid, alias)
    if (news === 'removed') return
    if (news === 'refused')
      throw new CloudError(
        sysErrors.operationFailed,
        `cannot ${what}: the guest refused to let the device go`,
      )
    const gone = await withDomain(context.client, vmUuid, async (domain) =>
      domain === undefined ? true : find(await readDomain(domain)) === undefined,
    )
    if (gone) return
    if (performance.now() >= deadline) throw neverLetGo(what)
    await context.watch.changed(vmUuid, LOOK_AGAIN_MS, signal)
    signal.throwIfAborted()
    if (performance.now() < askAgainAt || context.watch.devices.has(vmUuid, alias)) continue
    await repeatRequest(context, vmUuid, what, find)
    askAgainAt = performance.now() + ASK_AGAIN_MS
  }
}

/** QEMU refuses a repeat while it still waits for the guest; then the first request is as good. */
async function repeatRequest(context: VmContext, vmUuid: string, what: string, find: Unplug['find']) {
  try {
    await requestUnplug(context, vmUuid, what, find)
  } catch (error) {
    if (!/already in the process of unplug/.test(describeError(error))) throw error
  }
}

/** Asks the guest to let the device go; gives the device's alias, or undefined when there is no such device. */
function requestUnplug(
  context: VmContext,
  vmUuid: string,
  what: string,
  find: (live: LiveDomain) => string | undefined,
): Promise<string | undefined> {
  return withDomain(context.client, vmUuid, async (domain) => {
    const alias = domain && find(await readDomain(domain))
    if (domain === undefined || alias === undefined) return undefined
    context.watch.devices.expect(vmUuid, alias)
    const { api } = loadLibvirt()
    await domain.connection.callOn(what, api.domainDetachAlias, domain.pointer, alias, AFFECT_LIVE)
    return alias
  })
}

function neverLetGo(what: string): CloudError {
  return new CloudError(
    sysErrors.timeout,
    `cannot ${what}: the guest did not let the device go within ${UNPLUG_TIMEOUT_MS / 1000} s; it may be booting or ` +
      'have no system that can unplug devices',
  )
}
