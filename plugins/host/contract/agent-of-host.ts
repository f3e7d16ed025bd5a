import type { AgentClient } from '#agent-rpc'
import { get } from '#db'
import type { PluginContext } from '#plugin-host'
import { hostConnector } from './extensions.ts'
import { host } from './resources.ts'

/** The client of a host's agent, whatever its hypervisor. Throws SYS.1003 when the host is gone. */
export async function agentOfHost(
  ctx: Pick<PluginContext, 'db' | 'driver'>,
  hostUuid: string,
): Promise<AgentClient> {
  const { hypervisorType } = await get(ctx.db, host, hostUuid)
  return ctx.driver(hostConnector, hypervisorType).client(hostUuid)
}
