import type { Limiter } from '#kernel'
import type { AgentClient } from './call.ts'

// Questions that keep a host known as alive must not wait behind long work.
const PROMPT = new Set(['host.ping', 'backup.ping'])

/** The same client, with at most as many calls under way as the limiter allows. Pings pass. */
export function limitCalls<C extends AgentClient>(client: C, limiter: Limiter): C {
  return {
    ...client,
    call: (call, input, options) =>
      PROMPT.has(call.name)
        ? client.call(call, input, options)
        : limiter.run(() => client.call(call, input, options)),
  }
}
