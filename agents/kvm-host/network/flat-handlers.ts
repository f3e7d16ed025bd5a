import type { AgentHandlers } from '#agent-rpc'
import type {
  addFlatLeases,
  applyFlatNetwork,
  deleteFlatNetwork,
  removeFlatLeases,
} from '../contract/network.ts'
import { checkLeases, checkMac, checkNetwork, type Lease } from './flat-network-spec.ts'
import type { FlatNetworks } from './flat-networks.ts'

interface FlatCalls {
  readonly applyFlatNetwork: typeof applyFlatNetwork
  readonly addFlatLeases: typeof addFlatLeases
  readonly removeFlatLeases: typeof removeFlatLeases
  readonly deleteFlatNetwork: typeof deleteFlatNetwork
}

export function createFlatHandlers(flat: FlatNetworks): AgentHandlers<Pick<FlatCalls, keyof FlatCalls>> {
  return {
    async applyFlatNetwork({ leases: given, ...rest }) {
      const network = checkNetwork(rest)
      const leases = byMac(checkLeases(network, given))
      return { changed: await flat.apply(network.l3NetworkUuid, () => ({ network, leases })) }
    },

    async addFlatLeases({ leases: given, ...rest }) {
      const network = checkNetwork(rest)
      const added = checkLeases(network, given)
      const changed = await flat.apply(network.l3NetworkUuid, (current) => {
        const addresses = new Set(added.map((lease) => lease.ip))
        // An address that comes with another MAC has moved to it; two leases of one address cannot be.
        const kept = [...(current?.leases.values() ?? [])].filter((lease) => !addresses.has(lease.ip))
        const leases = byMac([...kept, ...added])
        checkLeases(network, [...leases.values()])
        return { network, leases }
      })
      return { changed }
    },

    async removeFlatLeases({ l3NetworkUuid, macs }) {
      const gone = new Set(macs.map(checkMac))
      const changed = await flat.apply(l3NetworkUuid, (current) => {
        if (current === undefined) return undefined
        const left = [...current.leases.values()].filter((lease) => !gone.has(lease.mac))
        const some = left.length < current.leases.size
        return some && left.length === 0 ? undefined : { ...current, leases: byMac(left) }
      })
      return { changed }
    },

    async deleteFlatNetwork({ l3NetworkUuid }) {
      return { deleted: await flat.apply(l3NetworkUuid, () => undefined) }
    },
  }
}

function byMac(leases: readonly Lease[]): ReadonlyMap<string, Lease> {
  return new Map(leases.map((lease) => [lease.mac, lease]))
}
