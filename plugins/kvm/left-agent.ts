import type { AgentTransport } from '#agent-deploy'
import { int, optional, parse, text } from '#contract'
import { findOne } from '#db'
import type { SecretBox } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { GarbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import type { Garbage } from '#plugins/garbage-collector/contract/messages.ts'
import { host } from '#plugins/host/contract/resources.ts'
import type { KVMHost } from './contract/resources.ts'

export const AGENT_LEFT = 'kvm.agent'

const contextShape = {
  uuid: text('The host the agent served.'),
  address: text('Where.'),
  sshPort: int('SSH port.'),
  username: text('SSH user.'),
  hostKey: optional(text('Fingerprint of its SSH key.')),
}

/** The agent of a host that could not be reached when the host was deleted. */
export function leftAgent(row: KVMHost, { name, address }: { name: string; address: string }): Garbage {
  const { uuid, sshPort, username, hostKey, sealedPassword } = row
  return {
    name: `the agent of the deleted host ${name} at ${address}; bridges and cached images of it may be there, too`,
    type: AGENT_LEFT,
    subject: `${uuid}@${address}`,
    context: { uuid, address, sshPort, username, hostKey },
    sealed: sealedPassword,
    address,
  }
}

/** Removes such an agent once the machine answers. One that serves another host by now is left alone. */
export function agentLeft(
  ctx: Pick<PluginContext, 'db'>,
  secrets: SecretBox,
  transport: AgentTransport,
): GarbageType {
  return {
    collect: async (context, sealed = '') => {
      const { hostKey, ...server } = parse(contextShape, context, 'the job')
      // Added again under the uuid it had, it is wanted again.
      const row = await findOne(ctx.db, host, { uuid: server.uuid })
      if (row?.managementIp === server.address) return
      await transport.remove({ ...server, hostKey, password: secrets.open(sealed) })
    },
  }
}
