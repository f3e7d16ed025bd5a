import type { AgentEvent } from '#agent-rpc'
import type { KeyedQueues, Logger } from '#kernel'
import type { LibvirtClient } from './client.ts'
import type { DomainWatch } from './domain-watch.ts'

export interface LibvirtConfig {
  /** libvirt's own socket, `/run/libvirt/libvirt-sock`. */
  readonly libvirtSocket: string
  /** Where the text of the guests' serial ports is kept. */
  readonly serialLogDirectory: string
}

/** What the agent gives to the handlers of its virtual machines. */
export interface LibvirtDeps {
  readonly logger: Logger
  readonly queues: KeyedQueues
  readonly emit: (event: AgentEvent) => void
  readonly config: LibvirtConfig
}

/** What the handlers share among themselves. */
export interface VmContext {
  readonly logger: Logger
  readonly queues: KeyedQueues
  readonly config: LibvirtConfig
  readonly client: LibvirtClient
  readonly watch: DomainWatch
}

/** The queue in which everything about one VM happens one after the other. */
export function vmQueue(vmUuid: string): string {
  return `vm/${vmUuid}`
}

/** libvirt's address for a socket of its own. */
export function libvirtUri(socketPath: string): string {
  return `qemu+unix:///system?socket=${encodeURIComponent(socketPath)}`
}
