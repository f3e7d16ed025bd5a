import type { AgentTransport, ServerAccess } from '#agent-deploy'
import { type AgentConnection, limitCalls, type RemoteAgent } from '#agent-rpc'
import { hostFacts, hostPing, probeAcceleration } from '#agents/kvm-host/contract/host.ts'
import { findOne, get, update } from '#db'
import { currentTask, type Disposable, describeError, parseSize, type SecretBox } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { submitGarbage } from '#plugins/garbage-collector/contract/messages.ts'
import type { HostConnector, HostFacts } from '#plugins/host/contract/extensions.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { commandLaneOf } from './contract/command-lane.ts'
import { forgetEpoch, reservedMemory } from './contract/configs.ts'
import { type KVMHost, kvmHost } from './contract/resources.ts'
import { leftAgent } from './left-agent.ts'

export const AGENT_PORT = 7070

type Client = AgentConnection & Partial<Pick<RemoteAgent, 'openTunnel'>>

/** Reaches KVM hosts through the agent it deploys over SSH. Clients are kept until the host is connected anew or forgotten. */
export function createKvmConnector(
  ctx: PluginContext,
  secrets: SecretBox,
  transport: AgentTransport,
): HostConnector & Disposable {
  const clients = new Map<string, Client>()

  const open = async (uuid: string): Promise<Client> => {
    const kept = clients.get(uuid)
    if (kept !== undefined) return kept
    const { managementIp } = await get(ctx.db, host, uuid)
    const { agentPort } = await get(ctx.db, kvmHost, uuid)
    const client = await transport.connect({ uuid, address: managementIp, port: agentPort ?? AGENT_PORT })
    // Two callers at the same time: the first one's client is the one.
    const other = clients.get(uuid)
    if (other !== undefined) {
      client.close()
      return other
    }
    const limited = limitCalls(client, commandLaneOf(ctx, uuid), [hostPing.name])
    clients.set(uuid, limited)
    return limited
  }
  const drop = (uuid: string) => {
    clients.get(uuid)?.close()
    clients.delete(uuid)
  }

  return {
    client: open,
    reservedMemoryBytes: () => parseSize(ctx.config.get(reservedMemory)),
    acceleration: async (uuid) => ((await get(ctx.db, kvmHost, uuid)).acceleration === 'kvm' ? 'kvm' : 'tcg'),
    peerAddress: async (uuid) => {
      const { managementIp: address } = await get(ctx.db, host, uuid)
      return { address, port: (await get(ctx.db, kvmHost, uuid)).agentPort ?? AGENT_PORT }
    },
    connect: async ({ uuid, managementIp }, onProgress) => {
      const row = await get(ctx.db, kvmHost, uuid)
      const port = row.agentPort ?? AGENT_PORT
      const server = { ...accessTo(row, managementIp, secrets), port }
      const deployed = await transport.deploy(server, {
        onProgress,
        signal: currentTask()?.signal,
        forgetEpoch: ctx.config.get(forgetEpoch),
      })
      await ctx.db.write((tx) => update(tx, kvmHost, { uuid }, { ...deployed, agentPort: port }))
      drop(uuid)
      onProgress('asking what the host has')
      return learn(ctx, uuid, await open(uuid))
    },
    follow: async (uuid, onEvent, onDown) => {
      const subscription = (await open(uuid)).events(onEvent, undefined, (error) =>
        onDown(describeError(error)),
      )
      return () => void subscription.dispose()
    },
    forget: async (uuid) => {
      drop(uuid)
      const row = await findOne(ctx.db, kvmHost, { uuid })
      const known = await findOne(ctx.db, host, { uuid })
      if (row === undefined || known === undefined) return
      await removeAgentOf(ctx, row, known, () => transport.remove(accessTo(row, known.managementIp, secrets)))
      // A ping may have asked for one meanwhile.
      drop(uuid)
    },
    dispose: () => {
      for (const uuid of [...clients.keys()]) drop(uuid)
    },
  }
}

/** One that cannot be reached holds back nobody, so its agent is removed when it is back; it may also be off for good. */
async function removeAgentOf(
  ctx: PluginContext,
  row: KVMHost,
  { name, managementIp: address }: Host,
  remove: () => Promise<void>,
): Promise<void> {
  try {
    await remove()
  } catch (error) {
    const fields = { hostUuid: row.uuid, address, err: describeError(error) }
    ctx.log.warn(fields, 'the agent could not be removed from a host')
    // What never ran there is not waited for: the address may have been a mistake.
    if (row.hostKey !== undefined) await ctx.bus.call(submitGarbage, leftAgent(row, { name, address }))
  }
}

async function learn(ctx: PluginContext, uuid: string, client: Client): Promise<HostFacts> {
  const facts = await client.call(hostFacts, {})
  const { acceleration, reason } = await client.call(probeAcceleration, {})
  if (acceleration === 'tcg')
    ctx.log.warn(
      { hostUuid: uuid, reason },
      'a host has no working hardware acceleration; guests are emulated',
    )
  const { osDistribution, osRelease, osVersion, bootId } = facts
  await ctx.db.write((tx) =>
    update(tx, kvmHost, { uuid }, { osDistribution, osRelease, osVersion, bootId, acceleration }),
  )
  const { cpuNum, cpuSockets, totalMemoryBytes, architecture } = facts
  return { cpuNum, cpuSockets, totalMemoryBytes, architecture }
}

function accessTo(row: KVMHost, address: string, secrets: SecretBox): ServerAccess {
  const { uuid, sshPort, username, hostKey } = row
  return { uuid, address, sshPort, username, hostKey, password: secrets.open(row.sealedPassword) }
}
