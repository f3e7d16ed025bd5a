import assert from 'node:assert/strict'
import type { AgentClient, AgentEvent, CallInput } from '#agent-rpc'
import type { cacheImage } from '#agents/kvm-host/contract/storage.ts'
import type { DiskSpec, NicSpec, VmSpec } from '#agents/kvm-host/contract/vm.ts'
import { CloudError, type Disposable, newUuid, sysErrors, waitFor } from '#kernel'

/** The agent under test and what it may use. README.md says what each member must be. */
export interface KvmHostFixture {
  readonly client: AgentClient
  /** Another client, of a management node that is at this epoch of its cluster. */
  clientAt(epoch: number): AgentClient
  /** Calls `listener` with each event of the agent from now on. */
  subscribe(listener: (event: AgentEvent) => void): Disposable
  /** A directory that is absent or empty, on the agent's machine. */
  readonly storageRoot: string
  readonly physicalInterface: string
  /** A disk image the agent can fetch, with a guest that reacts to ACPI and hot-plug. */
  readonly image: {
    readonly source: CallInput<typeof cacheImage>['source']
    readonly format: 'qcow2' | 'raw'
    readonly sizeBytes: number
    readonly virtualSizeBytes: number
    readonly sha256: string
  }
  readonly acceleration: 'kvm' | 'tcg'
  readonly memoryBytes: number
  /** Resolves when the guest of this VM is up and reacts to ACPI and hot-plug. */
  guestReady(vmUuid: string): Promise<void>
  /** Takes everything away that the agent may have left. */
  dispose(): Promise<void>
}

/** Gives the fixture to tests; there is none while they are being declared. */
export type GetKvmHost = () => KvmHostFixture

/** One test may wait this long: a real guest under software emulation is slow. */
export const testTimeout = { timeout: 300_000 }

export const conformanceBridge = 'br_zsconf'

/** The storage the root belongs to; always the same, because an agent remembers whose a root is. */
export const conformanceStorageUuid = '5c0f'.repeat(8)

export function cachePathOf({ storageRoot, image }: KvmHostFixture, imageUuid: string): string {
  return `${storageRoot}/imagecache/template/${imageUuid}/${imageUuid}.${image.format === 'raw' ? 'img' : 'qcow2'}`
}

export function volumePathOf({ storageRoot }: KvmHostFixture, volumeUuid: string): string {
  return `${storageRoot}/dataVolumes/acct-conformance/vol-${volumeUuid}/${volumeUuid}.qcow2`
}

/** The input that caches the fixture's image. */
export function cacheInputOf(host: KvmHostFixture, cachePath: string): CallInput<typeof cacheImage> {
  const { source, sizeBytes, sha256, format } = host.image
  return { source, cachePath, sizeBytes, sha256, format }
}

export function diskOf(installPath: string, deviceId: number, cacheMode: DiskSpec['cacheMode']): DiskSpec {
  return { volumeUuid: newUuid(), installPath, format: 'qcow2', deviceId, bus: 'virtio', cacheMode }
}

/** A NIC on the conformance bridge; `number` makes MAC, address and tap its own. */
export function nicOf(number: number): NicSpec {
  return {
    nicUuid: newUuid(),
    mac: `fa:5c:0f:00:00:${number.toString(16).padStart(2, '0')}`,
    ip: `10.213.77.${100 + number}`,
    bridge: conformanceBridge,
    deviceName: `vnic99${number}.0`,
    model: 'virtio',
  }
}

export function vmOf(host: KvmHostFixture, parts: Pick<VmSpec, 'disks' | 'nics'>): VmSpec {
  return {
    vmUuid: newUuid(),
    name: 'conformance',
    memoryBytes: host.memoryBytes,
    cpuNum: 1,
    acceleration: host.acceleration,
    machine: 'q35',
    cdroms: [],
    bootOrder: ['hd'],
    ...parts,
  }
}

/** Passes when `work` is refused in words: with `code` if given, and never as a bug of the agent or by silence. */
export async function refused(what: string, work: Promise<unknown>, code?: string): Promise<CloudError> {
  const error = await work.then(
    () => assert.fail(`${what} was not refused`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof CloudError)) throw error
  assert.notEqual(
    error.code,
    sysErrors.internal.code,
    `${what} ended as a bug of the agent: ${error.details}`,
  )
  assert.notEqual(error.details, '', `${what} was refused without a reason`)
  if (code !== undefined) assert.equal(error.code, code, `${what}: ${error.details}`)
  return error
}

/** What an agent told since the log was made. */
export function recordEvents(host: KvmHostFixture) {
  const seen: AgentEvent[] = []
  const subscription = host.subscribe((event) => seen.push(event))
  return {
    dispose: () => subscription.dispose(),
    /** Waits for a `vm.state` event that came after the last one awaited. */
    async vmState(vmUuid: string, state: string, byAgent: boolean): Promise<void> {
      const isIt = ({ name, data }: AgentEvent) =>
        name === 'vm.state' && data.vmUuid === vmUuid && data.state === state && data.byAgent === byAgent
      await waitFor(`event: VM ${vmUuid} is ${state}, byAgent ${byAgent}`, () => seen.some(isIt), {
        timeoutMs: 60_000,
      })
      seen.splice(0, seen.findIndex(isIt) + 1)
    },
  }
}
