import { defineHook } from '#plugin-host'
import type { L3Network } from './resources.ts'

/** Observes the life of L3 networks. */
export interface L3Hook {
  /** What guests are told changed: ranges, name servers, domain. Runs after the change is durable; may be repeated. */
  changed?(network: L3Network): Promise<void>
  /** The network holds no NIC and goes away: remove what lies on hosts. May be repeated. */
  deleting?(network: L3Network): Promise<void>
  /** Its row is gone: forget own rows about it. May be repeated. */
  deleted?(l3NetworkUuid: string): Promise<void>
}

export const l3Hook = defineHook<L3Hook>('l3')
