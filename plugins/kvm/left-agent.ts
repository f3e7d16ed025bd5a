import type { AgentTransport } from '#agent-deploy'
import { findOne } from '#db'
import type { SecretBox } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { GarbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { leftAgents, leftAgent as leftAt } from '#plugins/garbage-collector/contract/left-agent.ts'
import type { Garbage } from '#plugins/garbage-collector/contract/messages.ts'
import { host } from '#plugins/host/contract/resources.ts'
import type { KVMHost } from './contract/resources.ts'

export const AGENT_LEFT = 'kvm.agent'

/** The agent of a host that could not be reached when the host was deleted. */
export function leftAgent(row: KVMHost, { name, address }: { name: string; address: string }): Garbage {
  const words = `the agent of the deleted host ${name} at ${address}; bridges and cached images of it may be there, too`
  return leftAt(AGENT_LEFT, words, { ...row, address })
}

/** Added again under the uuid it had, it is wanted again. */
export function agentLeft(
  ctx: Pick<PluginContext, 'db'>,
  secrets: SecretBox,
  transport: AgentTransport,
): GarbageType {
  return leftAgents(secrets, transport, async ({ uuid, address }) => {
    const row = await findOne(ctx.db, host, { uuid })
    return row?.managementIp === address
  })
}
