import type { AgentClient } from '#agent-rpc'
import { CloudError } from '#kernel'

/** The client, whose failures tell which host they come from: an agent does not know what its host is called. */
export function namedAgent(client: AgentClient, hostName: string): AgentClient {
  const { openTunnel } = client
  return {
    call: async (call, input, options) => {
      try {
        return await client.call(call, input, options)
      } catch (error) {
        throw withHost(error, hostName)
      }
    },
    ...(openTunnel === undefined ? {} : { openTunnel: openTunnel.bind(client) }),
    close: () => client.close(),
  }
}

function withHost(error: unknown, hostName: string): unknown {
  if (!(error instanceof CloudError) || error.details.includes(hostName)) return error
  const { opaque, retryAfterSeconds, cause } = error
  return new CloudError(error, `${error.details} (on the host ${hostName})`, {
    cause,
    ...(opaque === undefined ? {} : { opaque }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}
