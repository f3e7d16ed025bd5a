import type { AgentTransport } from '#agent-deploy'
import { int, optional, parse, text } from '#contract'
import { findOne } from '#db'
import type { SecretBox } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { GarbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import type { Garbage } from '#plugins/garbage-collector/contract/messages.ts'
import { type SftpBackupStorage, sftpBackupStorage } from './contract/resources.ts'

export const AGENT_LEFT = 'sftp.agent'

const contextShape = {
  uuid: text('The backup storage the agent served.'),
  address: text('Where.'),
  sshPort: int('SSH port.'),
  username: text('SSH user.'),
  hostKey: optional(text('Fingerprint of its SSH key.')),
}

/** The agent of an image server that could not be reached when it was deleted, or moved to another address. */
export function leftAgent(row: SftpBackupStorage): Garbage {
  const { uuid, hostname: address, sshPort, username, hostKey, sealedPassword } = row
  return {
    name: `the agent of the former image server at ${address}; the files of its images stay in any case`,
    type: AGENT_LEFT,
    subject: `${uuid}@${address}`,
    context: { uuid, address, sshPort, username, hostKey },
    sealed: sealedPassword,
    address,
  }
}

/** Removes such an agent once the machine answers. One that serves another storage by now is left alone. */
export function agentLeft(
  ctx: Pick<PluginContext, 'db'>,
  secrets: SecretBox,
  transport: AgentTransport,
): GarbageType {
  return {
    collect: async (context, sealed = '') => {
      const { hostKey, ...server } = parse(contextShape, context, 'the job')
      // Moved back, or added again under the uuid it had, it is wanted again.
      const row = await findOne(ctx.db, sftpBackupStorage, { uuid: server.uuid })
      if (row?.hostname === server.address) return
      await transport.remove({ ...server, hostKey, password: secrets.open(sealed) })
    },
  }
}
