import { defineMessage } from '#contract'
import type { PlacementSpec } from './extensions.ts'
import type { Host } from './resources.ts'

/** Where a VM goes. */
export interface Placement {
  readonly hostUuid: string
  readonly clusterUuid: string
  readonly zoneUuid: string
  readonly hypervisorType: string
}

/** Chooses a host and reserves CPU and memory on it for the VM. A repeat returns the host chosen before. */
export const allocateHost = defineMessage<PlacementSpec, Placement>('host.allocate')

/** Gives back what a VM has reserved: on one host, or everywhere. What is not reserved is fine. */
export const releaseHost = defineMessage<
  { vmUuid: string; hostUuid?: string | undefined; exceptHostUuids?: readonly string[] | undefined },
  void
>('host.release')

/** Hosts that could take the VM, best first, and why the others cannot. */
export const findHosts = defineMessage<PlacementSpec, { hosts: Host[]; rejections: Record<string, string> }>(
  'host.find',
)

/** Adds a host of any hypervisor: its row, the connection, what plugins prepare. All of it or nothing. */
export interface AddHostInput {
  readonly host: Host
  /** Row of the hypervisor's own table, added together with the host. */
  readonly extension?:
    | { readonly inventory: string; readonly row: Readonly<Record<string, unknown>> }
    | undefined
}
export const addHost = defineMessage<AddHostInput, Host>('host.add', (i) => `host:${i.host.uuid}`)
