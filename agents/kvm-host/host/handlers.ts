import type { AgentHandlers } from '#agent-rpc'
import type { kvmHostCalls } from '../contract/index.ts'
import type { LibvirtClient } from '../libvirt/client.ts'
import { loadLibvirt } from '../libvirt/ffi.ts'
import { readBootId, readMemory, readSystemFacts, versionText } from './facts.ts'
import { listL2Interfaces } from './interfaces.ts'
import { type Acceleration, probeAcceleration } from './probe-acceleration.ts'

export interface HostDeps {
  /** Of the libvirt area of the same agent. */
  readonly client: LibvirtClient
  /** Hash of the running agent bundle. */
  readonly agentVersion: string
  readonly agentStartedAtMs: number
  /** State of this boot, `/run/zstack`. */
  readonly runDirectory: string
}

export type HostHandlers = Pick<
  AgentHandlers<typeof kvmHostCalls>,
  'hostFacts' | 'hostPing' | 'hostCapacity' | 'probeAcceleration'
>

/** The commands about the host itself. */
export function createHostHandlers(deps: HostDeps): HostHandlers {
  let probing: Promise<Acceleration> | undefined
  return {
    hostFacts: async () => ({
      ...(await readSystemFacts()),
      ...(await readVersions(deps.client)),
      agentVersion: deps.agentVersion,
      interfaces: await listL2Interfaces(),
    }),
    hostPing: async () => {
      await readVersions(deps.client)
      return {
        bootId: await readBootId(),
        agentVersion: deps.agentVersion,
        agentStartedAt: deps.agentStartedAtMs,
      }
    },
    hostCapacity: () => readMemory(),
    probeAcceleration: () => {
      // Two at the same time would disturb each other's timing.
      probing ??= probeAcceleration({ runDirectory: deps.runDirectory }).finally(() => {
        probing = undefined
      })
      return probing
    },
  }
}

/** Versions of libvirt and QEMU; asking them proves that libvirtd answers. */
function readVersions(client: LibvirtClient): Promise<{ libvirtVersion: string; qemuVersion: string }> {
  const { api } = loadLibvirt()
  return client.use(async (connection) => {
    const libvirt: [number] = [0]
    const qemu: [number] = [0]
    await connection.call('ask the version of libvirt', api.connectGetLibVersion, libvirt)
    await connection.call('ask the version of QEMU', api.connectGetVersion, qemu)
    return { libvirtVersion: versionText(Number(libvirt[0])), qemuVersion: versionText(Number(qemu[0])) }
  })
}
