import type { Message } from '#contract'
import {
  CloudError,
  clusterErrors,
  currentDeadlineMs,
  currentTask,
  type Disposable,
  heldKeys,
  type KeyedQueues,
  sysErrors,
  withDeadline,
  withHeldKeys,
  withTask,
} from '#kernel'
import type { BusFigures } from './bus-traffic.ts'
import { type Clock, realClock } from './clock.ts'
import { type RemoteCall, RemoteCalls } from './remote-calls.ts'
import type { CallEnvelope, Transport } from './transport.ts'
import { TooLate, type Turn } from './turn.ts'

export type MessageHandler<I, O> = (input: I) => Promise<O>

/**
 * How services talk. A message with a key runs in that key's queue on the node that owns the key; when that is this node it is a
 * function call. Handlers must not call a message of a key they are already in the queue of: one key at a time.
 * A call to another node ends with SYS.1001 when the time its message allows is up, or that of the call it is part of.
 */
export interface Bus {
  /** Makes this process able to handle `message`. Two handlers for one message are an error. */
  serve<I, O>(message: Message<I, O>, handler: MessageHandler<I, O>): Disposable
  call<I, O>(message: Message<I, O>, input: I): Promise<O>
  /** Asks one node, whoever owns what. This one answers without a detour. Input and output are JSON. */
  callNode<I, O>(node: string, message: Message<I, O>, input: I): Promise<O>
  /** Runs `work` in the queue of a key this node owns, when it may. Throws CLUSTER.1002 when another node owns it. */
  enter<T>(key: string, label: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** What it does with other nodes; undefined on a node that works alone. */
  figures(): BusFigures | undefined
}

/** Which node a key belongs to. */
export interface Routes {
  readonly self: string
  ownerOf(key: string): string
  /** Undefined when work on a key of this node may begin at once; else resolves when it may, or when it has another owner. */
  admit(key: string): Promise<void> | undefined
}

/** What makes a bus reach other nodes. */
export interface ClusterBus extends Bus, Disposable {
  /** Begins to listen; what comes is looked at when the run is known. */
  open(onNews: (name: string, data: unknown) => void): Promise<void>
  /** Begins to take part, as this run of the node. */
  begin(run: number): void
  /** Tells every other node. */
  tell(name: string, data: unknown): Promise<void>
  /** Ends the calls that only this run of a node could have answered. */
  nodeGone(node: string, run: number): void
}

// A ring that keeps changing must not send a call around for ever.
const MAX_PASSES = 3

/** One node alone: it owns every key. */
const aloneRoutes: Routes = { self: '', ownerOf: () => '', admit: () => undefined }

/** The bus inside one process: nothing is copied, nothing waits for a timer. */
export function createLocalBus(queues: KeyedQueues, routes: Routes = aloneRoutes): Bus {
  return createBus(queues, routes).bus
}

/** How nodes of a cluster are told apart. */
export interface ClusterRoutes extends Routes {
  /** The run of a node that is in the cluster now; undefined when it is not. */
  runOf(node: string): number | undefined
}

/** The bus of one of several nodes. */
export function createClusterBus(
  queues: KeyedQueues,
  routes: ClusterRoutes,
  transport: Transport,
  clock: Clock = realClock,
): ClusterBus {
  const { bus, serve } = createBus(queues, routes, (node, call) => remote.call(node, call), clock)
  const remote = new RemoteCalls({
    ...{ self: routes.self, transport, clock, serve },
    runOf: (node) => routes.runOf(node),
  })
  return {
    ...bus,
    figures: () => remote.figures,
    open: (onNews) => remote.open(onNews),
    begin: (run) => remote.begin(run),
    tell: (name, data) => transport.broadcast({ kind: 'news', from: routes.self, name, data }),
    nodeGone: (node, run) => remote.nodeGone(node, run),
    dispose: async () => {
      remote.dispose()
      await transport.dispose()
    },
  }
}

type Ask = (node: string, call: RemoteCall) => Promise<unknown>

const nobody: Ask = (node) => {
  const details = `the management node ${node} cannot be reached: this one works alone`
  return Promise.reject(new CloudError(sysErrors.nodeUnavailable, details))
}

/** A call on its way to whoever owns its key. */
type Routed = Pick<RemoteCall, 'message' | 'input' | 'passes' | 'deadlineMs'> & { readonly key: string }

interface Routing {
  /** Of the call of another node that this is. */
  readonly turn?: Turn
  readonly mayGoOn?: (error: unknown) => boolean
}

function createBus(queues: KeyedQueues, routes: Routes, ask: Ask = nobody, clock: Clock = realClock) {
  const handlers = new Map<string, MessageHandler<never, unknown>>()
  const handlerOf = <I, O>(name: string): MessageHandler<I, O> => {
    const handler = handlers.get(name) as MessageHandler<I, O> | undefined
    if (handler !== undefined) return handler
    throw new CloudError(sysErrors.noRoute, `no service handles ${name}: its plugin is not loaded`)
  }
  const enter: Bus['enter'] = async (key, label, work, signal) => {
    await routes.admit(key)
    if (routes.ownerOf(key) !== routes.self) throw moved(key)
    return queues.run(key, label, work, signal)
  }
  const isOurs = (key: string) => routes.ownerOf(key) === routes.self
  /** When a call that is made now has to be answered: nothing outlives what it is part of. */
  const deadlineOf = ({ timeoutMs }: { readonly timeoutMs: number }) =>
    Math.min(clock.nowMs() + timeoutMs, currentDeadlineMs() ?? Number.POSITIVE_INFINITY)
  const bus: Bus = {
    serve: (message, handler) => {
      if (handlers.has(message.name)) throw new Error(`two handlers for the message ${message.name}`)
      handlers.set(message.name, handler as MessageHandler<never, unknown>)
      return { dispose: () => void handlers.delete(message.name) }
    },
    call: async <I, O>(message: Message<I, O>, input: I): Promise<O> => {
      const { name } = message
      const handler = handlerOf<I, O>(name)
      const key = message.key?.(input)
      if (key === undefined) return handler(input)
      const isFree = isOurs(key) && routes.admit(key) === undefined
      if (isFree) return queues.run(key, name, () => handler(input))
      const call = { message: name, input, key, passes: 0, deadlineMs: deadlineOf(message) }
      const mayGoOn = message.idempotent ? isUnserved : isMoved
      return (await route(call, { mayGoOn })) as O
    },
    callNode: async <I, O>(node: string, message: Message<I, O>, input: I): Promise<O> => {
      if (node === routes.self) return handlerOf<I, O>(message.name)(input)
      const deadlineMs = deadlineOf(message)
      return (await ask(node, { message: message.name, input, passes: 0, deadlineMs, ...here() })) as O
    },
    enter,
    figures: () => undefined,
  }
  const route = createRoute({ routes, ask, enter, handlerOf })
  const serve = (call: CallEnvelope, turn: Turn): Promise<unknown> => {
    const { key, message, input, passes, held = [] } = call
    const { deadlineMs } = turn
    const work = async () => {
      if (key !== undefined) return route({ message, input, key, passes, deadlineMs }, { turn })
      turn.begin()
      return handlerOf(message)(input as never)
    }
    return withHeldKeys(queues, held, () => asTask(call, () => withDeadline(deadlineMs, work)))
  }
  return { bus, serve }
}

interface RouteDeps {
  readonly routes: Routes
  readonly ask: Ask
  readonly enter: Bus['enter']
  handlerOf(message: string): MessageHandler<never, unknown>
}

/**
 * Runs a call where its key belongs now, or sends it there; follows a ring that changes meanwhile. `mayGoOn` tells after which
 * errors the next owner is asked.
 */
function createRoute({ routes, ask, enter, handlerOf }: RouteDeps) {
  const enterInTurn = async ({ key, message, input }: Routed, turn: Turn | undefined) => {
    const work = () => {
      turn?.begin()
      return handlerOf(message)(input as never)
    }
    try {
      return await enter(key, message, work, turn?.signal)
    } catch (error) {
      if (turn?.isOver === true && turn.state === 'waits') throw new TooLate()
      throw error
    }
  }
  return async (call: Routed, { turn, mayGoOn = isMoved }: Routing): Promise<unknown> => {
    for (let i = call.passes; i <= MAX_PASSES; i += 1) {
      try {
        const owner = routes.ownerOf(call.key)
        if (owner === routes.self) return await enterInTurn(call, turn)
        const send = () => ask(owner, { ...call, passes: i + 1, ...here() })
        return await (turn === undefined ? send() : turn.passOn(send))
      } catch (error) {
        if (!mayGoOn(error)) throw error
      }
    }
    throw moved(call.key)
  }
}

/** What goes along with a call: whose work it is, and which queues wait for it. */
function here() {
  const task = currentTask()
  return { taskId: task?.id, taskName: task?.name, held: heldKeys() }
}

function asTask<T>({ taskId, taskName }: CallEnvelope, work: () => Promise<T>): Promise<T> {
  if (taskId === undefined) return work()
  const { signal } = new AbortController()
  // Progress is told where the task runs.
  return withTask({ id: taskId, name: taskName ?? '', signal, progress: () => {} }, work)
}

function isMoved(error: unknown): boolean {
  return error instanceof CloudError && error.code === clusterErrors.ownerMoved.code
}

/** Not served to its end: its key has another owner, or has one now because the owner died. */
function isUnserved(error: unknown): boolean {
  return isMoved(error) || (error instanceof CloudError && error.code === clusterErrors.nodeGone.code)
}

function moved(key: string): CloudError {
  const details = `the management nodes are just settling who works on ${key}; try again in a moment`
  return new CloudError(clusterErrors.ownerMoved, details, { retryAfterSeconds: 2 })
}
