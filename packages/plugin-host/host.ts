import {
  type Bus,
  type ClusterBus,
  createClusterBus,
  createEvents,
  createLocalBus,
  type Events,
  type Transport,
} from '#bus'
import { type Cluster, createCluster } from '#cluster'
import type { Api } from '#contract'
import { type Database, migrate } from '#db'
import { CloudError, describeError, KeyedQueues, Lanes, type Logger, Scope, sysErrors } from '#kernel'
import { createQueryEngine, createRegistry } from '#query'
import {
  createJournal,
  createNoJournal,
  createWorkflowEngine,
  type EngineDeps,
  type WorkflowObserver,
} from '#workflow'
import { type Admission, createAdmission } from './admission.ts'
import { admissionConfigs } from './admission-configs.ts'
import { createConfig } from './config.ts'
import { type Authenticate, createDispatcher, type Dispatcher, type Registration } from './dispatcher.ts'
import { createExtensions, defineDriver, type Extensions } from './extension.ts'
import { createForwarder, jobResult } from './forward.ts'
import { createJobs, type Jobs } from './jobs.ts'
import { Meters, timed } from './meters.ts'
import { migrationsOf, schemaLevel } from './migrations.ts'
import { repeat } from './periodic.ts'
import type { NodeInfo, Plugin, PluginContext } from './plugin.ts'
import { inOrder } from './plugin-order.ts'
import { createTakeover, type Takeover } from './takeover.ts'
import { createTurns } from './turns.ts'

// A workflow whose undo failed is tried again this often, and whenever a host connects.
const STUCK_RETRY_SECONDS = 30

/** Who may tell whose session it is: exactly one plugin. */
export const authenticator = defineDriver<Authenticate>('authenticator')

/** A management process: every plugin set up, ready to serve through its dispatcher. */
export interface Cloud {
  readonly dispatcher: Dispatcher
  readonly jobs: Jobs
  readonly admission: Admission
  readonly context: Omit<PluginContext, 'handle'>
  /** Undoes or finishes what an earlier process left, then starts the plugins' own activities. */
  start(): Promise<void>
  stop(): Promise<void>
}

// Jobs that take longer than this are cut off, and finished or taken back at the next start.
const DRAIN_MS = 10_000

export interface CloudOptions {
  readonly plugins: readonly Plugin[]
  readonly db: Database
  readonly node: NodeInfo
  readonly log: Logger
  /** `none` leaves the journal out, to measure what it costs. */
  readonly journal?: 'durable' | 'none'
  readonly observe?: WorkflowObserver
  /** Reaches the other management nodes; a node without it has its database for itself. */
  readonly transport?: Transport
  readonly heartbeatMs?: number
  /** The node was declared dead by the others: the process must end. */
  readonly onFenced?: (reason: string) => void
}

/** Migrates the database and sets every plugin up, in the order of their needs. Nothing is served before `start`. */
export async function createCloud(options: CloudOptions): Promise<Cloud> {
  const { db, log } = options
  const plugins = inOrder(options.plugins)
  await migrate(db, migrationsOf(plugins), schemaLevel)
  const parts = createParts(options, plugins)
  await setUp(plugins, parts)
  const { admission, cluster, jobs, workflows, takeover } = parts
  let notReady: string | undefined = 'the management node is starting; try again in a moment'
  const authenticate: Authenticate = (session) => parts.extensions.driver(authenticator, 'session')(session)
  const dispatcher = createDispatcher({
    ...parts,
    queries: parts.query,
    forwarder: createForwarder(parts),
    authenticate,
    notReady: () => notReady,
  })
  const context = contextFor({ name: 'cloud' }, parts)
  const retry = async () => {
    await jobs.recordLeft()
    // One may wait long for its turn, and another may get stuck meanwhile.
    workflows
      .retryStuck()
      .catch((error) => log.error({ err: describeError(error) }, 'what is stuck could not be tried again'))
  }
  context.every('retry stuck workflows', () => STUCK_RETRY_SECONDS, retry, 'each node')
  return {
    dispatcher,
    jobs,
    admission,
    context,
    start: async () => {
      await cluster.join(parts.clusterBus, parts.events.receive)
      for (const load of parts.loaders) await load()
      parts.loaded()
      await cluster.settled()
      await takeover.idle()
      for (const start of parts.starters) await start()
      notReady = undefined
    },
    stop: async () => {
      notReady = 'the management node is stopping'
      admission.close(neverBegun())
      await leaveInOrder(cluster, jobs, log)
      takeover.stop()
      await parts.scope.dispose()
      await cluster
        .leave()
        .catch((error) => log.warn({ err: describeError(error) }, 'the cluster could not be left'))
      await cluster.dispose()
      await parts.clusterBus?.dispose()
      await db.close()
    },
  }
}

/** New work goes to the other nodes while what runs here comes to its end. */
async function leaveInOrder(cluster: Cluster, jobs: Jobs, log: Logger): Promise<void> {
  try {
    if (cluster.members.length > 1) await cluster.announceLeave()
  } catch (error) {
    log.warn({ err: describeError(error) }, 'the others could not be told that this node leaves')
  }
  await jobs.idle(DRAIN_MS)
}

function createParts(options: CloudOptions, plugins: readonly Plugin[]): Parts {
  const { db, node: given, log, transport } = options
  const queues = new KeyedQueues()
  const lanes = new Lanes()
  const registry = createRegistry(plugins.flatMap((p) => p.resources))
  const loaded = Promise.withResolvers<void>()
  const fenced = options.onFenced ?? (() => undefined)
  const cluster = createCluster({
    ...{ db, node: given, queues, log, isAlone: transport === undefined, onFenced: fenced },
    ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
    takeOver: () => takeover.begin(),
  })
  const owner = {
    nodeUuid: given.uuid,
    get incarnation() {
      return cluster.incarnation
    },
  }
  const { isAlive } = cluster
  const journal = options.journal === 'none' ? createNoJournal(db) : createJournal(db, owner)
  const observe = options.observe === undefined ? {} : { observe: options.observe }
  const clusterBus = transport === undefined ? undefined : createClusterBus(queues, cluster, transport)
  const bus = clusterBus ?? createLocalBus(queues, cluster)
  const turn = createTurns({ bus, queues, self: given.uuid })
  const inTurn: EngineDeps['inTurn'] = ({ queueKeys }, work) => {
    const innermost = queueKeys.at(-1)
    return innermost === undefined ? work() : turn(innermost, work)
  }
  const workflows = createWorkflowEngine({ journal, log, isAlive, inTurn, ...observe })
  const tellOthers = async (name: string, data: unknown) => clusterBus?.tell(name, data)
  const askNode = (to: string, jobUuid: string) => bus.callNode(to, jobResult, { jobUuid })
  const jobs = createJobs({ db, owner, isAlive, askNode })
  const config = createConfig([...admissionConfigs, ...plugins.flatMap((p) => p.configs)])
  // Any number may be the limit of lanes; looking at all of them costs less than knowing which.
  for (const definition of config.definitions()) config.onChange(definition, () => lanes.admit())
  const takeover = createTakeover({ db, cluster, queues, workflows, jobs, log, loaded: loaded.promise })
  const sender = {
    // What a node may have lost by now it must not touch, even when nobody has told the agent.
    epoch: () => {
      cluster.requireMembership()
      return cluster.epoch
    },
    renewEpoch: () => cluster.refresh(),
  }
  const node = transport === undefined ? given : { ...given, sender }
  return {
    ...{
      db,
      node,
      log,
      queues,
      lanes,
      cluster,
      clusterBus,
      bus,
      workflows,
      jobs,
      takeover,
      loaded: loaded.resolve,
    },
    query: createQueryEngine(db, registry),
    config,
    admission: createAdmission(config),
    events: createEvents(log, tellOthers),
    meters: new Meters(),
    extensions: createExtensions(),
    registrations: new Map(),
    scope: new Scope(),
    loaders: [],
    starters: [],
  }
}

function neverBegun(): CloudError {
  const details = 'the management node stopped before the call was begun; nothing was done, repeat it'
  return new CloudError(sysErrors.notReady, details)
}

async function setUp(plugins: readonly Plugin[], parts: Parts): Promise<void> {
  try {
    for (const plugin of plugins) await plugin.setup(contextFor(plugin, parts))
  } catch (error) {
    await parts.scope.dispose()
    throw error
  }
}

interface Parts {
  readonly admission: Admission
  readonly cluster: Cluster
  readonly clusterBus: ClusterBus | undefined
  readonly takeover: Takeover
  /** Called when every plugin can work. */
  readonly loaded: () => void
  readonly db: Database
  readonly queues: KeyedQueues
  readonly lanes: Lanes
  readonly query: PluginContext['query']
  readonly workflows: PluginContext['workflows']
  readonly jobs: Jobs
  readonly meters: Meters
  readonly config: PluginContext['config']
  readonly node: NodeInfo
  readonly log: Logger
  readonly bus: Bus
  readonly events: Events
  readonly extensions: Extensions
  readonly registrations: Map<string, Registration>
  readonly scope: Scope
  readonly loaders: (() => void | Promise<void>)[]
  readonly starters: (() => void | Promise<void>)[]
}

function contextFor(plugin: Pick<Plugin, 'name'>, parts: Parts): PluginContext {
  const { extensions, scope, starters } = parts
  const log = parts.log.child({ plugin: plugin.name })
  const register = (registration: Registration) => {
    const { name } = registration.api
    if (parts.registrations.has(name))
      throw new Error(`plugin ${plugin.name}: the API ${name} has a handler already`)
    parts.registrations.set(name, registration)
  }
  return {
    ...parts,
    log,
    handle: (api, handler, options) =>
      register({ api, handler: handler as never, options: (options ?? {}) as never }),
    queries: (...apis: readonly Api[]) => {
      for (const api of apis) register({ api, handler: async () => ({}), options: {} })
    },
    serve: (message, handler) =>
      void scope.add(parts.bus.serve(message, timed(parts.meters.messages.of(message.name), handler))),
    workflow: (workflow) => {
      parts.workflows.register(workflow as never)
      return workflow
    },
    provide: extensions.provide,
    hook: extensions.hook,
    driver: extensions.driver,
    drivers: extensions.drivers,
    hooks: extensions.hooks,
    onLoad: (load) => void parts.loaders.push(load),
    onReady: (start) => void starters.push(start),
    own: (item) => scope.add(item),
    every: (name, seconds, work, on = 'one node') => {
      const isOurs = () => on === 'each node' || parts.cluster.owns(`every:${name}`)
      const turn = async () => {
        if (isOurs()) await work()
      }
      starters.push(() => scope.onDispose(repeat(name, seconds, turn, log)))
    },
  }
}
