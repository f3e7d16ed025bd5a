import type { AgentClient } from '#agent-rpc'
import { defineDriver, type PluginContext } from '#plugin-host'

/** Finds the client of a host's agent, whatever its hypervisor. Provided by the host plugin under the type `any`. */
export const hostAgents = defineDriver<(hostUuid: string) => Promise<AgentClient>>('host agents')

/** The client of a host's agent. Throws SYS.1003 when the host is gone. */
export function agentOfHost(ctx: Pick<PluginContext, 'driver'>, hostUuid: string): Promise<AgentClient> {
  return ctx.driver(hostAgents, 'any')(hostUuid)
}
