import type { AgentEvent, AgentHandlers, CallContext } from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { SimulatedWorld } from '#agents/simulator/world.ts'
import { type ErrorBody, fromErrorBody, newUuid, toErrorBody } from '#kernel'
import { agentsOf, type SimulatedAgents, type SimulatedFacts } from '#plugins/simulator/agents.ts'

/** A channel between two processes, as `process` and a child have it. */
export interface Channel {
  send(message: unknown): unknown
  on(event: 'message', listener: (message: unknown) => void): unknown
}

interface Call {
  readonly kind: 'call'
  readonly id: string
  readonly to: Address
  readonly name: string
  readonly input: unknown
  readonly epoch: number
}

type Request = Call | { readonly kind: 'follow' | 'forget'; readonly to: Address }

type Response =
  | { readonly kind: 'answer'; readonly id: string; readonly output?: unknown; readonly error?: ErrorBody }
  | { readonly kind: 'event'; readonly address: string; readonly event: AgentEvent }

type Address =
  | { readonly role: 'host'; readonly address: string; readonly facts: SimulatedFacts }
  | { readonly role: 'backup storage'; readonly address: string }

/** Agents whose world is on the other side of a channel, and lives on when this process dies. */
export function remoteAgents(channel: Channel): SimulatedAgents {
  const waiting = new Map<string, (response: Response & { kind: 'answer' }) => void>()
  const followers = new Map<string, Set<(event: AgentEvent) => void>>()
  channel.on('message', (message) => {
    const response = message as Response
    if (response.kind === 'answer') waiting.get(response.id)?.(response)
    if (response.kind === 'event')
      for (const tell of followers.get(response.address) ?? []) tell(response.event)
  })
  const ask = (to: Address, name: string, input: unknown, { epoch }: CallContext) =>
    new Promise((resolve, reject) => {
      const id = newUuid()
      waiting.set(id, ({ error, output }) => {
        waiting.delete(id)
        if (error === undefined) resolve(output)
        else reject(fromErrorBody(error))
      })
      channel.send({ kind: 'call', id, to, name, input, epoch } satisfies Request)
    })
  const handlersOf = <Calls extends object>(calls: Calls, to: Address) => {
    const names = Object.keys(calls)
    const entries = names.map((name) => [
      name,
      (input: unknown, context: CallContext) => ask(to, name, input, context),
    ])
    // One function for each call of the contract, which Object.fromEntries cannot express.
    return Object.fromEntries(entries) as AgentHandlers<never>
  }
  const forget = (to: Address) => void channel.send({ kind: 'forget', to } satisfies Request)
  return {
    host: (address, facts) => ({
      handlers: handlersOf(kvmHostCalls, { role: 'host', address, facts }) as never,
      subscribe: (listener) => {
        const own = followers.get(address) ?? new Set()
        followers.set(address, own.add(listener))
        channel.send({ kind: 'follow', to: { role: 'host', address, facts } } satisfies Request)
        return { dispose: () => void own.delete(listener) }
      },
    }),
    forgetHost: (address) => forget({ role: 'host', address, facts: { cpuNum: 0, totalMemoryBytes: 0 } }),
    backupStorage: (address) => ({
      handlers: handlersOf(backupStorageCalls, { role: 'backup storage', address }) as never,
    }),
    forgetBackupStorage: (address) => forget({ role: 'backup storage', address }),
  }
}

type Handlers = Readonly<Record<string, (input: unknown, context: CallContext) => Promise<unknown>>>

/** Serves a world to a child process until that is gone. */
export function serveAgents(world: SimulatedWorld, channel: Channel): void {
  const agents = agentsOf(world)
  const agentAt = (to: Address) =>
    to.role === 'host' ? agents.host(to.address, to.facts) : agents.backupStorage(to.address)
  const answer = async ({ id, to, name, input, epoch }: Call): Promise<Response> => {
    const { signal } = new AbortController()
    const context = { callId: id, taskId: undefined, epoch, signal, progress: () => {} }
    try {
      const handlers = agentAt(to).handlers as unknown as Handlers
      return { kind: 'answer', id, output: await handlers[name]?.(input, context) }
    } catch (error) {
      return { kind: 'answer', id, error: toErrorBody(error) }
    }
  }
  const serve = async (request: Request): Promise<void> => {
    const { to } = request
    const { role, address } = to
    if (request.kind === 'call') channel.send(await answer(request))
    else if (request.kind === 'follow' && role === 'host')
      agents
        .host(address, to.facts)
        .subscribe((event) => void channel.send({ kind: 'event', address, event } satisfies Response))
    else if (role === 'host') agents.forgetHost(address)
    else agents.forgetBackupStorage(address)
  }
  channel.on('message', (message) => {
    const request = message as Request
    if (['call', 'follow', 'forget'].includes(request.kind)) void serve(request)
  })
}
