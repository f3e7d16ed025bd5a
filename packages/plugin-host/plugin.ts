import type { SenderEpoch } from '#agent-rpc'
import type { Bus, Events } from '#bus'
import type { Cluster } from '#cluster'
import type { Api, ConfigDefinition, Infer, Input, Message, Output, Resource, Shape } from '#contract'
import type { Database, Migration } from '#db'
import type { Disposable, KeyedQueues, Lanes, Logger } from '#kernel'
import type { QueryEngine } from '#query'
import type { Workflow, WorkflowEngine } from '#workflow'
import type { Admission } from './admission.ts'
import type { Config } from './config.ts'
import type { ApiReply } from './dispatcher.ts'
import type { Driver, Hook } from './extension.ts'
import type { Jobs } from './jobs.ts'
import type { Meters } from './meters.ts'

/** A feature. Removing it from the server's list removes the feature and nothing else. */
export interface Plugin {
  readonly name: string
  /** Plugins that must be loaded as well; they start before and stop after this one. */
  readonly needs: readonly string[]
  readonly resources: readonly Resource[]
  readonly configs: readonly ConfigDefinition[]
  readonly migrations: readonly Migration[]
  setup(context: PluginContext): void | Promise<void>
}

/** Declares a plugin. `setup` wires; it holds no logic. */
export function definePlugin(spec: Pick<Plugin, 'name' | 'setup'> & Partial<Plugin>): Plugin {
  return { needs: [], resources: [], configs: [], migrations: [], ...spec }
}

/** What a handler learns about the request it serves. */
export interface ApiCall {
  readonly taskId: string
  /** The account on whose behalf it runs. */
  readonly accountUuid: string
  readonly sessionUuid: string | undefined
  /** Address of the client, for the audit. */
  readonly clientIp: string | undefined
  readonly signal: AbortSignal
  /**
   * Runs a workflow that returns the reply of the call: it is recorded in the same commit that ends the workflow, also when another
   * node finishes it.
   */
  run<I, R extends ApiReply>(workflow: Workflow<I, R>, input: I): Promise<R>
}

export type ApiHandler<A> = (input: Input<A>, call: ApiCall) => Promise<Output<A> | ReplyOf<A>>

/** Inventories in replies carry their embedded collections, which the declared fields do not list. */
type ReplyOf<A> = A extends Api<Shape, infer O> ? { [K in keyof Infer<O>]: unknown } : never

export interface HandleOptions<I> {
  /** The queue the call runs in, `<kind>:<id>`: calls with the same key run one after the other, on the node that owns the id. */
  readonly key?: (input: I) => string | Promise<string>
  /**
   * The call creates one resource and gets a `resourceUuid` when the client chose none, so that the key can name it. It begins with
   * the time: not for what is told apart by its first digits.
   */
  readonly creates?: boolean
}

export interface PluginContext {
  readonly db: Database
  readonly bus: Bus
  readonly cluster: Cluster
  readonly query: QueryEngine
  readonly config: Config
  readonly events: Events
  /** Queues of this node alone; work on a resource goes through `bus.enter` or a message, which know its owner. */
  readonly queues: KeyedQueues
  /** What bounds the work on one host, storage or image server; see `laneOf`. */
  readonly lanes: Lanes
  readonly workflows: WorkflowEngine
  readonly jobs: Jobs
  readonly admission: Admission
  readonly meters: Meters
  readonly log: Logger
  readonly node: NodeInfo
  handle<A extends Api>(api: A, handler: ApiHandler<A>, options?: HandleOptions<Input<A>>): void
  /** Serves the Query APIs of resources this plugin owns. */
  queries(...apis: readonly Api[]): void
  serve<I, O>(message: Message<I, O>, handler: (input: I) => Promise<O>): void
  workflow<I, O>(workflow: Workflow<I, O>): Workflow<I, O>
  provide<T>(driver: Driver<T>, type: string, implementation: T): void
  hook<T>(hook: Hook<T>, implementation: T): void
  driver<T>(driver: Driver<T>, type: string): T
  drivers<T>(driver: Driver<T>): ReadonlyMap<string, T>
  hooks<T>(hook: Hook<T>): readonly T[]
  /** Runs after every plugin is set up, before anything is recovered or served: brings stored settings into memory. */
  onLoad(start: () => void | Promise<void>): void
  /** Runs after unfinished workflows are recovered, before requests are served. */
  onReady(start: () => void | Promise<void>): void
  /** Stops with the plugin, in reverse order of registration. */
  own<T extends Disposable>(item: T): T
  /**
   * Runs `work` every `seconds()`; one run never overlaps the next, a failure is logged. With several nodes it runs on one of them,
   * or with `each node` on all: such work looks only after what the node owns.
   */
  every(name: string, seconds: () => number, work: () => Promise<void>, on?: 'one node' | 'each node'): void
}

/** Facts about this management node. */
export interface NodeInfo {
  readonly uuid: string
  readonly address: string
  readonly dataDir: string
  readonly version: string
  /** What agents are shown by a node that is one of several; absent on one that is alone. */
  readonly sender?: SenderEpoch
}
