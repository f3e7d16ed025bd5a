import type { AgentCall, AgentClient, CallInput } from '#agent-rpc'
import * as calls from '#agents/kvm-host/contract/network.ts'
import { CloudError, sysErrors } from '#kernel'
import { definePlugin, type Plugin } from '#plugin-host'
import { hostAgents } from '#plugins/host/contract/agent-of-host.ts'

type FlatInput = CallInput<typeof calls.applyFlatNetwork>

/** What a host has of networks, and what was asked of it. */
export interface FakeHost {
  readonly interfaces: Set<string>
  readonly bridges: Set<string>
  readonly networks: Map<string, FlatInput>
  readonly asked: string[]
  /** Set to make the next calls of this name fail. */
  failing: string | undefined
}

/** Hosts that know networks and nothing else. */
export function fakeHosts(): { readonly plugin: Plugin; host(uuid: string): FakeHost } {
  const hosts = new Map<string, FakeHost>()
  const host = (uuid: string): FakeHost => {
    const known = hosts.get(uuid) ?? {
      interfaces: new Set(['eth0']),
      bridges: new Set<string>(),
      networks: new Map<string, FlatInput>(),
      asked: [],
      failing: undefined,
    }
    hosts.set(uuid, known)
    return known
  }
  const plugin = definePlugin({
    name: 'fake-hosts',
    setup: (ctx) => ctx.provide(hostAgents, 'any', async (uuid) => clientOf(host(uuid))),
  })
  return { plugin, host }
}

type Answers = Readonly<Record<string, (host: FakeHost, input: never) => object>>

const answers: Answers = {
  [calls.createBridge.name]: (host, { bridge, physicalInterface }: CallInput<typeof calls.createBridge>) => {
    if (!host.interfaces.has(physicalInterface))
      throw refuse(`interface ${physicalInterface} does not exist on this host`)
    host.bridges.add(bridge)
    return { created: true }
  },
  [calls.deleteBridge.name]: (host, { bridge }: CallInput<typeof calls.deleteBridge>) => {
    const user = [...host.networks.values()].find((network) => network.bridge === bridge)
    if (user !== undefined) throw refuse(`bridge ${bridge} is in use by ${user.l3NetworkUuid}`)
    return { deleted: host.bridges.delete(bridge) }
  },
  [calls.applyFlatNetwork.name]: (host, input: FlatInput) => {
    host.networks.set(input.l3NetworkUuid, input)
    return { changed: true }
  },
  [calls.addFlatLeases.name]: (host, input: FlatInput) => {
    const macs = new Set(input.leases.map((lease) => lease.mac))
    const kept = host.networks.get(input.l3NetworkUuid)?.leases.filter((lease) => !macs.has(lease.mac)) ?? []
    host.networks.set(input.l3NetworkUuid, { ...input, leases: [...kept, ...input.leases] })
    return { changed: true }
  },
  [calls.removeFlatLeases.name]: (host, input: CallInput<typeof calls.removeFlatLeases>) => {
    const network = host.networks.get(input.l3NetworkUuid)
    const leases = network?.leases.filter((lease) => !input.macs.includes(lease.mac)) ?? []
    if (network !== undefined) host.networks.set(input.l3NetworkUuid, { ...network, leases })
    if (leases.length === 0) host.networks.delete(input.l3NetworkUuid)
    return { changed: network !== undefined }
  },
  [calls.deleteFlatNetwork.name]: (host, input: CallInput<typeof calls.deleteFlatNetwork>) => ({
    deleted: host.networks.delete(input.l3NetworkUuid),
  }),
}

function clientOf(host: FakeHost): AgentClient {
  const call = async (definition: AgentCall, input: unknown) => {
    host.asked.push(definition.name)
    if (host.failing === definition.name) throw refuse(`${definition.name} was made to fail`)
    return answers[definition.name]?.(host, input as never)
  }
  return { call: call as AgentClient['call'], close() {} }
}

function refuse(details: string): CloudError {
  return new CloudError(sysErrors.operationFailed, details)
}
