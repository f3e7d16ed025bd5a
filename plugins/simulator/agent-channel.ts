import type { AgentEvent, AgentHandlers, CallContext } from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { SimulatedWorld } from '#agents/simulator/world.ts'
import {
  CloudError,
  type Disposable,
  type ErrorBody,
  fromErrorBody,
  newUuid,
  sysErrors,
  toErrorBody,
} from '#kernel'
import { agentsOf, type SimulatedAgents, type SimulatedFacts } from './agents.ts'

/** A channel between two processes, as `process` and a child have it. */
export interface Channel {
  /** False when nobody is there. */
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
  /** Nothing is heard of this agent any more; of any when there is no address. */
  | { readonly kind: 'down'; readonly address?: string }

type Address =
  | { readonly role: 'host'; readonly address: string; readonly facts: SimulatedFacts }
  | { readonly role: 'backup storage'; readonly address: string }

/** What lies between a management node and the agents it calls. */
export interface Path {
  /** Runs `serve` when the call arrives, if it does; `answer` is called at most once. */
  pass(
    to: { readonly address: string; readonly mayArriveLate: boolean },
    serve: () => Promise<Response & { kind: 'answer' }>,
    answer: (response: Omit<Response & { kind: 'answer' }, 'kind' | 'id'>) => void,
  ): void
  isOpen(address: string): boolean
  /** `tell` is called when the way to an agent breaks. */
  onBreak(tell: (address: string | undefined) => void): Disposable
}

/** What agents say to one who follows them. */
interface Follower {
  readonly onEvent: (event: AgentEvent) => void
  readonly onDown: ((reason: string) => void) | undefined
}

/** Agents whose world is on the other side of a channel, and lives on when this process dies. */
export function remoteAgents(channel: Channel): SimulatedAgents {
  const waiting = new Map<string, (response: Omit<Response & { kind: 'answer' }, 'kind' | 'id'>) => void>()
  const followers = new Map<string, Set<Follower>>()
  const down = (address: string) => {
    const all = followers.get(address) ?? []
    followers.delete(address)
    for (const { onDown } of all) onDown?.('nothing is heard of the host any more')
  }
  channel.on('message', (message) => {
    const response = message as Response
    if (response.kind === 'answer') waiting.get(response.id)?.(response)
    if (response.kind === 'event')
      for (const { onEvent } of followers.get(response.address) ?? []) onEvent(response.event)
    if (response.kind !== 'down') return
    if (response.address !== undefined) return down(response.address)
    for (const address of [...followers.keys()]) down(address)
    for (const end of [...waiting.values()]) end({ error: lost('the connection to the agent broke') })
  })
  const ask = (to: Address, name: string, input: unknown, { epoch }: CallContext) =>
    new Promise((resolve, reject) => {
      const id = newUuid()
      waiting.set(id, ({ error, output }) => {
        waiting.delete(id)
        if (error === undefined) resolve(output)
        else reject(fromErrorBody(error))
      })
      if (channel.send({ kind: 'call', id, to, name, input, epoch } satisfies Request) === false)
        waiting.get(id)?.({ error: lost(`the agent at ${to.address} cannot be reached`) })
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
      subscribe: (onEvent, onDown) => {
        const follower = { onEvent, onDown }
        const own = followers.get(address) ?? new Set()
        followers.set(address, own.add(follower))
        channel.send({ kind: 'follow', to: { role: 'host', address, facts } } satisfies Request)
        return { dispose: () => void own.delete(follower) }
      },
    }),
    forgetHost: (address) => forget({ role: 'host', address, facts: { cpuNum: 0, totalMemoryBytes: 0 } }),
    backupStorage: (address) => ({
      handlers: handlersOf(backupStorageCalls, { role: 'backup storage', address }) as never,
    }),
    forgetBackupStorage: (address) => forget({ role: 'backup storage', address }),
  }
}

/** The error a caller gets who does not know what became of its call. */
export function lost(details: string): ErrorBody {
  return toErrorBody(new CloudError(sysErrors.ioError, details))
}

/** Whoever adds an agent begins so, and it comes into being. */
const firstCalls: readonly string[] = ['hostFacts', 'initBackupStorage']

type Handlers = Readonly<Record<string, (input: unknown, context: CallContext) => Promise<unknown>>>

/** Serves a world to another process until that is gone; disposed of, it stops telling it events. */
export function serveAgents(world: SimulatedWorld, channel: Channel, path?: Path): Disposable {
  const agents = agentsOf(world)
  const followed = new Map<string, Disposable>()
  const agentAt = (to: Address, name: string) => {
    const known: ReadonlyMap<string, unknown> = to.role === 'host' ? world.hosts : world.backupStorages
    // Other calls, that may come late, do not bring back one that was removed.
    if (!known.has(to.address) && !firstCalls.includes(name))
      throw new CloudError(sysErrors.ioError, `there is no agent at ${to.address}`)
    return to.role === 'host' ? agents.host(to.address, to.facts) : agents.backupStorage(to.address)
  }
  const answer = async ({ id, to, name, input, epoch }: Call) => {
    const { signal } = new AbortController()
    const context = { callId: id, taskId: undefined, epoch, signal, progress: () => {} }
    const kind = 'answer' as const
    try {
      const handlers = agentAt(to, name).handlers as unknown as Handlers
      return { kind, id, output: await handlers[name]?.(input, context) }
    } catch (error) {
      return { kind, id, error: toErrorBody(error) }
    }
  }
  const follow = (to: Address & { role: 'host' }) => {
    const { address, facts } = to
    void followed.get(address)?.dispose()
    if (!world.hosts.has(address)) return
    const tell = (event: AgentEvent) => {
      if (path?.isOpen(address) !== false) channel.send({ kind: 'event', address, event } satisfies Response)
    }
    followed.set(address, agents.host(address, facts).subscribe(tell))
  }
  const serve = async (request: Request): Promise<void> => {
    const { to } = request
    if (request.kind === 'call') {
      const { id } = request
      const reply = (response: object) => void channel.send({ kind: 'answer', id, ...response })
      if (path === undefined) reply(await answer(request))
      else {
        const mayArriveLate = !firstCalls.includes(request.name)
        path.pass({ address: to.address, mayArriveLate }, () => answer(request), reply)
      }
    } else if (request.kind === 'follow' && to.role === 'host') {
      if (path?.isOpen(to.address) !== false) follow(to)
      else channel.send({ kind: 'down', address: to.address } satisfies Response)
    } else if (to.role === 'host') agents.forgetHost(to.address)
    else agents.forgetBackupStorage(to.address)
  }
  channel.on('message', (message) => {
    const request = message as Request
    if (['call', 'follow', 'forget'].includes(request.kind)) void serve(request)
  })
  const breaks = path?.onBreak((address) => {
    channel.send((address === undefined ? { kind: 'down' } : { kind: 'down', address }) satisfies Response)
  })
  return {
    dispose: () => {
      void breaks?.dispose()
      for (const subscription of followed.values()) void subscription.dispose()
    },
  }
}
