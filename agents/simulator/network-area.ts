import { isDeepStrictEqual } from 'node:util'
import type { AgentHandlers, CallInput } from '#agent-rpc'
import type { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { applyFlatNetwork } from '#agents/kvm-host/contract/network.ts'
import { CloudError, sysErrors } from '#kernel'
import { type HostCore, impossible, type SimulatedLease } from './host-state.ts'

type NetworkArea =
  | 'createBridge'
  | 'deleteBridge'
  | 'applyFlatNetwork'
  | 'addFlatLeases'
  | 'removeFlatLeases'
  | 'deleteFlatNetwork'

/** Bridges and the flat network provider's namespaces. */
export function createNetworkHandlers(core: HostCore): Pick<AgentHandlers<typeof kvmHostCalls>, NetworkArea> {
  const { networks } = core.state
  return {
    createBridge: async (input) => ({ created: createBridge(core, input) }),
    deleteBridge: async ({ bridge }) => ({ deleted: deleteBridge(core, bridge) }),
    applyFlatNetwork: async (input) => ({ changed: apply(core, input, true) }),
    addFlatLeases: async (input) => ({ changed: apply(core, input, false) }),
    removeFlatLeases: async ({ l3NetworkUuid, macs }) => ({
      changed: removeLeases(core, l3NetworkUuid, macs),
    }),
    deleteFlatNetwork: async ({ l3NetworkUuid }) => ({ deleted: networks.delete(l3NetworkUuid) }),
  }
}

function createBridge(core: HostCore, input: { bridge: string; physicalInterface: string }): boolean {
  const { bridges, facts } = core.state
  const { bridge, physicalInterface } = input
  const carried = bridges.get(bridge)
  if (carried === physicalInterface) return false
  if (carried !== undefined) {
    throw impossible(core, `bridge ${bridge} is on ${carried}, it cannot be put on ${physicalInterface}`)
  }
  if (!facts.interfaces.includes(physicalInterface)) {
    throw impossible(core, `cannot make bridge ${bridge}: there is no interface ${physicalInterface}`)
  }
  for (const [other, taken] of bridges) {
    if (taken !== physicalInterface) continue
    throw impossible(core, `cannot make bridge ${bridge}: ${physicalInterface} belongs to bridge ${other}`)
  }
  bridges.set(bridge, physicalInterface)
  return true
}

function deleteBridge(core: HostCore, bridge: string): boolean {
  for (const [vmUuid, vm] of core.state.vms) {
    if (!vm.nics.some((nic) => nic.bridge === bridge)) continue
    throw impossible(core, `cannot delete bridge ${bridge}: VM ${vmUuid} uses it`)
  }
  for (const { config } of core.state.networks.values()) {
    if (config.bridge !== bridge) continue
    throw impossible(core, `cannot delete bridge ${bridge}: flat network ${config.l3NetworkUuid} uses it`)
  }
  return core.state.bridges.delete(bridge)
}

function apply(core: HostCore, input: CallInput<typeof applyFlatNetwork>, wholeSet: boolean): boolean {
  const { leases, ...config } = input
  const { bridges, networks } = core.state
  const wanted = checkLeases(leases)
  if (!bridges.has(config.bridge)) {
    const what = `flat network ${config.l3NetworkUuid}`
    throw impossible(core, `cannot serve ${what}: there is no bridge ${config.bridge}`)
  }
  const known = networks.get(config.l3NetworkUuid)
  const network = known ?? { config, leases: new Map<string, SimulatedLease>() }
  let changed = known === undefined || !isDeepStrictEqual(network.config, config)
  network.config = config
  networks.set(config.l3NetworkUuid, network)
  for (const [mac, lease] of wanted) {
    if (isDeepStrictEqual(network.leases.get(mac), lease)) continue
    network.leases.set(mac, lease)
    changed = true
  }
  // An address that comes with another MAC has moved to it.
  const moved = new Set(leases.map((lease) => lease.ip))
  for (const [mac, { ip }] of network.leases) {
    if (!wanted.has(mac) && (wholeSet || moved.has(ip))) changed = network.leases.delete(mac)
  }
  return changed
}

function removeLeases(core: HostCore, l3NetworkUuid: string, macs: readonly string[]): boolean {
  const network = core.state.networks.get(l3NetworkUuid)
  if (network === undefined) return false
  const removed = macs.filter((mac) => network.leases.delete(mac.toLowerCase())).length
  if (removed > 0 && network.leases.size === 0) core.state.networks.delete(l3NetworkUuid)
  return removed > 0
}

/** Leases by MAC. Throws SYS.1007 on a MAC or an address given twice. */
function checkLeases(leases: readonly SimulatedLease[]): Map<string, SimulatedLease> {
  const wanted = new Map(leases.map((lease) => [lease.mac.toLowerCase(), lease]))
  if (wanted.size === leases.length && new Set(leases.map((lease) => lease.ip)).size === leases.length) {
    return wanted
  }
  throw new CloudError(sysErrors.invalidArgument, 'field[leases] names an address twice', {
    opaque: { field: 'leases' },
  })
}
