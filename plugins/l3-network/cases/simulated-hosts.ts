import { createLocalAgent } from '#agent-rpc'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { SimulatedLease, SimulatedNetwork } from '#agents/simulator/host-state.ts'
import { createSimulatedHost, type HostKnobs, type SimulatedHost } from '#agents/simulator/kvm-host.ts'
import { definePlugin, type Plugin } from '#plugin-host'
import { hostAgents } from '#plugins/host/contract/agent-of-host.ts'

/** One simulated host, as tests of networks look at it. */
export interface NetworkView {
  readonly knobs: HostKnobs
  bridges(): string[]
  /** Commands it was given, by handler name, in order. */
  asked(): string[]
  config(l3NetworkUuid: string): SimulatedNetwork['config'] | undefined
  leases(l3NetworkUuid: string): SimulatedLease[] | undefined
  /** Takes every interface away. */
  unplug(): void
}

export interface SimulatedHosts {
  readonly plugin: Plugin
  host(uuid: string): NetworkView
}

/** Makes a simulated host for each uuid that is asked for, and the plugin that reaches them. */
export function simulatedHosts(): SimulatedHosts {
  const hosts = new Map<string, SimulatedHost>()
  const find = (uuid: string): SimulatedHost => {
    const host = hosts.get(uuid) ?? createSimulatedHost({ address: `10.99.0.${hosts.size + 1}` })
    if (!hosts.has(uuid)) host.knobs.recordCalls(true)
    hosts.set(uuid, host)
    return host
  }
  const plugin = definePlugin({
    name: 'simulated-hosts',
    setup: (ctx) =>
      ctx.provide(hostAgents, 'any', async (uuid) => createLocalAgent(kvmHostCalls, find(uuid).handlers)),
  })
  return { plugin, host: (uuid) => viewOf(find(uuid)) }
}

function viewOf({ state, knobs }: SimulatedHost): NetworkView {
  return {
    knobs,
    bridges: () => [...state.bridges.keys()],
    asked: () => knobs.calls().map((call) => call.name),
    config: (uuid) => state.networks.get(uuid)?.config,
    leases: (uuid) => {
      const network = state.networks.get(uuid)
      return network === undefined ? undefined : [...network.leases.values()]
    },
    unplug: () => {
      state.facts = { ...state.facts, interfaces: [] }
    },
  }
}
