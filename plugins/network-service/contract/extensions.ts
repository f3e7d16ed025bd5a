import { defineDriver } from '#plugin-host'

/** One NIC whose network wants services on the host the VM runs on. */
export interface ServedNic {
  readonly nicUuid: string
  readonly vmUuid: string
  readonly l3NetworkUuid: string
  readonly mac: string
  /** Its tap on the host's bridge, `vnic7.0`; with it, metadata is answered only through this tap. */
  readonly tap?: string | undefined
  readonly ip: string
  readonly isDefault: boolean
  readonly hostname: string | undefined
  /** Services this provider gives on the network: `DHCP`, `Userdata`. */
  readonly services: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly userData: string | undefined
}

/** A provider of network services. Every method may be repeated and converges on what it is told. */
export interface NetworkServiceDriver {
  /** Name of the provider people see. */
  readonly name: string
  readonly description: string
  /** What it can give, `{ DHCP: [], Userdata: ['DHCP'] }`: each service with those of the same provider it needs. */
  readonly services: Readonly<Record<string, readonly string[]>>
  /** The network got services of this provider, or was changed: prepare what belongs to no host. */
  prepareNetwork?(l3NetworkUuid: string): Promise<void>
  /** Called before the VM starts on `hostUuid`, or arrives there by migration. */
  applyNics(hostUuid: string, nics: readonly ServedNic[]): Promise<void>
  /** Called after the VM left the host. */
  removeNics(hostUuid: string, nics: readonly ServedNic[]): Promise<void>
  /** Sets everything of the host up anew: after it was connected. `nics` are all that run there. */
  restoreHost(hostUuid: string, nics: readonly ServedNic[]): Promise<void>
  /** The network goes from these hosts, which can be reached: remove everything of it there. */
  networkDeleted(l3NetworkUuid: string, hostUuids: readonly string[]): Promise<void>
}

/** By provider type: `Flat`. */
export const networkServiceDriver = defineDriver<NetworkServiceDriver>('network service provider')
