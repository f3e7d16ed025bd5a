import { defineDriver } from '#plugin-host'

/** One NIC whose network wants services on the host the VM runs on. */
export interface ServedNic {
  readonly nicUuid: string
  readonly vmUuid: string
  readonly l3NetworkUuid: string
  readonly mac: string
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
  /** Called before the VM starts on `hostUuid`, or arrives there by migration. */
  applyNics(hostUuid: string, nics: readonly ServedNic[]): Promise<void>
  /** Called after the VM left the host. */
  removeNics(hostUuid: string, nics: readonly ServedNic[]): Promise<void>
  /** Sets everything of the host up anew: after it was connected. `nics` are all that run there. */
  restoreHost(hostUuid: string, nics: readonly ServedNic[]): Promise<void>
  /** The network is gone. */
  networkDeleted(l3NetworkUuid: string): Promise<void>
}

/** By provider type: `Flat`. */
export const networkServiceDriver = defineDriver<NetworkServiceDriver>('network service provider')
