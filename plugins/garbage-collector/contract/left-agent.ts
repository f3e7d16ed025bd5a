import type { AgentTransport } from '#agent-deploy'
import { int, optional, parse, text } from '#contract'
import type { SecretBox } from '#kernel'
import type { GarbageType } from './extensions.ts'
import type { Garbage } from './messages.ts'

const contextShape = {
  uuid: text('What the agent served.'),
  address: text('Where.'),
  sshPort: int('SSH port.'),
  username: text('SSH user.'),
  hostKey: optional(text('Fingerprint of its SSH key.')),
}

/** Where an agent was, and how it is reached. */
export interface AgentPlace {
  readonly uuid: string
  readonly address: string
  readonly sshPort: number
  readonly username: string
  readonly hostKey?: string | undefined
  readonly sealedPassword: string
}

/** An agent that could not be removed because its machine was away; `name` tells people what it is. */
export function leftAgent(type: string, name: string, place: AgentPlace): Garbage {
  const { uuid, address, sshPort, username, hostKey, sealedPassword } = place
  const context = { uuid, address, sshPort, username, hostKey }
  return { name, type, subject: `${uuid}@${address}`, context, sealed: sealedPassword, address }
}

/** Removes such agents once their machines answer. One that `isWanted` again at its address by now is left alone. */
export function leftAgents(
  secrets: SecretBox,
  transport: AgentTransport,
  isWanted: (agent: { readonly uuid: string; readonly address: string }) => Promise<boolean>,
): GarbageType {
  return {
    collect: async (context, sealed = '') => {
      const { hostKey, ...server } = parse(contextShape, context, 'the job')
      if (await isWanted(server)) return
      await transport.remove({ ...server, hostKey, password: secrets.open(sealed) })
    },
  }
}
