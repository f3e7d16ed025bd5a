import type { AgentTransport } from '#agent-deploy'
import { findOne } from '#db'
import type { SecretBox } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { GarbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { leftAgents, leftAgent as leftAt } from '#plugins/garbage-collector/contract/left-agent.ts'
import type { Garbage } from '#plugins/garbage-collector/contract/messages.ts'
import { type SftpBackupStorage, sftpBackupStorage } from './contract/resources.ts'

export const AGENT_LEFT = 'sftp.agent'

/** The agent of an image server that could not be reached when it was deleted, or moved to another address. */
export function leftAgent(row: SftpBackupStorage): Garbage {
  const address = row.hostname
  const words = `the agent of the former image server at ${address}; the files of its images stay in any case`
  return leftAt(AGENT_LEFT, words, { ...row, address })
}

/** Moved back, or added again under the uuid it had, it is wanted again. */
export function agentLeft(
  ctx: Pick<PluginContext, 'db'>,
  secrets: SecretBox,
  transport: AgentTransport,
): GarbageType {
  return leftAgents(secrets, transport, async ({ uuid, address }) => {
    const row = await findOne(ctx.db, sftpBackupStorage, { uuid })
    return row?.hostname === address
  })
}
