import { type Bus, createEvents, createLocalBus, type Events } from '#bus'
import type { Api } from '#contract'
import { type Database, migrate } from '#db'
import { describeError, KeyedQueues, type Logger, Scope } from '#kernel'
import { createQueryEngine, createRegistry } from '#query'
import {
  createJournal,
  createNoJournal,
  createWorkflowEngine,
  type WorkflowObserver,
  workflowMigration,
} from '#workflow'
import { createConfig } from './config.ts'
import { type Authenticate, createDispatcher, type Dispatcher, type Registration } from './dispatcher.ts'
import { createExtensions, defineDriver, type Extensions } from './extension.ts'
import { createJobs, type Jobs, jobMigration } from './jobs.ts'
import { Meters, timed } from './meters.ts'
import type { NodeInfo, Plugin, PluginContext } from './plugin.ts'
import { interruptedErrors } from './recovery.ts'

// A workflow whose undo failed is tried again this often, and whenever a host connects.
const STUCK_RETRY_SECONDS = 30

/** Who may tell whose session it is: exactly one plugin. */
export const authenticator = defineDriver<Authenticate>('authenticator')

/** A management process: every plugin set up, ready to serve through its dispatcher. */
export interface Cloud {
  readonly dispatcher: Dispatcher
  readonly jobs: Jobs
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
}

/** Migrates the database and sets every plugin up, in the order of their needs. Nothing is served before `start`. */
export async function createCloud(options: CloudOptions): Promise<Cloud> {
  const { db, node, log } = options
  const plugins = inOrder(options.plugins)
  await migrate(db, [workflowMigration, jobMigration, ...plugins.flatMap((p) => p.migrations)])
  const queues = new KeyedQueues()
  const registry = createRegistry(plugins.flatMap((p) => p.resources))
  const query = createQueryEngine(db, registry)
  const journal = options.journal === 'none' ? createNoJournal(db) : createJournal(db, node.uuid)
  const observe = options.observe === undefined ? {} : { observe: options.observe }
  const workflows = createWorkflowEngine({ journal, log, ...observe })
  const config = createConfig(plugins.flatMap((p) => p.configs))
  const jobs = createJobs(db, node.uuid)
  const shared = {
    db,
    jobs,
    queues,
    query,
    workflows,
    config,
    node,
    log,
    bus: createLocalBus(queues),
    events: createEvents(log),
    meters: new Meters(),
  }
  const parts: Parts = {
    ...shared,
    extensions: createExtensions(),
    registrations: new Map(),
    scope: new Scope(),
    loaders: [],
    starters: [],
  }
  await setUp(plugins, parts)
  let notReady: string | undefined = 'the management node is starting; try again in a moment'
  const authenticate: Authenticate = (session) => parts.extensions.driver(authenticator, 'session')(session)
  const dispatcher = createDispatcher({
    ...shared,
    queries: query,
    registrations: parts.registrations,
    authenticate,
    notReady: () => notReady,
  })
  const context = contextFor({ name: 'cloud' }, parts)
  context.every(
    'retry stuck workflows',
    () => STUCK_RETRY_SECONDS,
    async () => {
      await workflows.retryStuck()
    },
  )
  return {
    dispatcher,
    jobs,
    context,
    start: async () => {
      for (const load of parts.loaders) await load()
      const recovered = await workflows.recover()
      for (const { error, ...row } of recovered)
        log.warn({ ...row, err: error?.details }, 'an unfinished workflow was recovered')
      await jobs.failInterrupted(interruptedErrors(recovered))
      for (const start of parts.starters) await start()
      notReady = undefined
    },
    stop: async () => {
      notReady = 'the management node is stopping'
      await jobs.idle(DRAIN_MS)
      await parts.scope.dispose()
      await db.close()
    },
  }
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
  readonly db: Database
  readonly queues: KeyedQueues
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
    every: (name, seconds, work) => starters.push(() => scope.onDispose(repeat(name, seconds, work, log))),
  }
}

// A timer of Node fires at once when asked to wait longer.
const LONGEST_WAIT_MS = 2 ** 31 - 1

/** Starts a repeated job; the returned function stops it after the run under way. */
function repeat(
  name: string,
  seconds: () => number,
  work: () => Promise<void>,
  log: Logger,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout
  let stopped = false
  const arm = () => {
    timer = setTimeout(tick, Math.min(seconds() * 1000, LONGEST_WAIT_MS))
    timer.unref()
  }
  const tick = () => {
    running = (async () => work())()
      .catch((error) => log.error({ job: name, err: describeError(error) }, 'a periodic job failed'))
      .then(() => {
        if (!stopped) arm()
      })
  }
  arm()
  return async () => {
    stopped = true
    clearTimeout(timer)
    await running
  }
}

/** Sorts plugins so that each comes after what it needs. Throws naming what is missing or circular. */
function inOrder(plugins: readonly Plugin[]): Plugin[] {
  const byName = new Map(plugins.map((p) => [p.name, p]))
  const twice = plugins.find((p) => byName.get(p.name) !== p)
  if (twice !== undefined) throw new Error(`two plugins are named ${twice.name}`)
  const done = new Set<string>()
  const out: Plugin[] = []
  const visit = (plugin: Plugin, trail: readonly string[]): void => {
    if (done.has(plugin.name)) return
    if (trail.includes(plugin.name))
      throw new Error(`plugins need each other in a circle: ${[...trail, plugin.name].join(' -> ')}`)
    for (const need of plugin.needs) {
      const needed = byName.get(need)
      if (needed === undefined)
        throw new Error(`plugin ${plugin.name} needs ${need}, which is not in the list of plugins`)
      visit(needed, [...trail, plugin.name])
    }
    done.add(plugin.name)
    out.push(plugin)
  }
  for (const plugin of plugins) visit(plugin, [])
  return out
}
