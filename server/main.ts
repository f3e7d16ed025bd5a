import { join } from 'node:path'
import { createRabbitTransport } from '#bus'
import { openMariadb, openSqlite } from '#db'
import { createHttpServer } from '#http'
import { createLogger, describeError, Scope } from '#kernel'
import {
  type Cloud,
  createCloud,
  monitorRoute,
  type NodeInfo,
  readinessCheck,
  upgradeRoute,
  webRoute,
} from '#plugin-host'
import { proxyPort } from '#plugins/console/contract/configs.ts'
import { endOnBug } from './bug.ts'
import { readConfig, type ServerConfig, usage } from './config.ts'
import { openDataDir } from './data-dir.ts'
import { returnIdleMemory } from './idle-memory.ts'
import { describeMigrations } from './migrations.ts'
import { allPlugins } from './plugins.ts'
import { findProblems } from './preflight.ts'
import { shareKeys } from './shared-keys.ts'
import { version } from './version.ts'

/** Tells whoever looks after the process that it should be started anew. */
const FENCED = 75

const COULD_NOT = 'the management node could not start'
// What is in the way of a start may be in the way of taking it back, too.
const WITHDRAWAL_MS = 15_000
const log = createLogger({ name: 'management', fd: 1 })

/** One management process: database, plugins, HTTP doors. Ends on SIGTERM or SIGINT when what it serves is closed. */
async function serve(config: ServerConfig, scope: Scope): Promise<void> {
  const { nodeUuid } = scope.add(await openDataDir(config.dataDir))
  const node: NodeInfo = { uuid: nodeUuid, address: config.address, dataDir: config.dataDir, version }
  const db =
    config.database === undefined
      ? openSqlite(join(config.dataDir, 'zstack.db'))
      : openMariadb(config.database)
  const shared =
    config.bus === undefined
      ? {}
      : { transport: createRabbitTransport(node.uuid, config.bus, log), onFenced: end }
  const cloud = await createCloud({ plugins: allPlugins(), db, node, log, ...shared })
  scope.onDispose(() => cloud.stop())
  if (config.bus !== undefined) await shareKeys(db, config.dataDir)
  const { config: configs, query, hooks } = cloud.context
  const common = {
    log,
    resources: query.registry.all,
    configs: configs.definitions(),
    version,
    advertisedAddress: config.address,
    readinessChecks: hooks(readinessCheck),
    staticRoutes: hooks(monitorRoute),
  }
  const doors = { dispatcher: cloud.dispatcher, jobs: cloud.jobs }
  const api = scope.add(createHttpServer({ ...common, ...doors }))
  const { port } = await api.listen(config.api)
  log.info({ port, node: node.uuid }, 'the API listens')
  let uiPort: number | undefined
  if (config.ui !== undefined) {
    const routes = [...common.staticRoutes, ...hooks(webRoute)]
    const pages = { staticRoutes: routes, upgradeRoutes: hooks(upgradeRoute) }
    const ui = scope.add(createHttpServer({ ...common, ...doors, ...pages }))
    const listening = await ui.listen(config.ui)
    log.info(listening, 'the UI listens')
    uiPort = listening.port
  }
  await cloud.start()
  await tellConsolePort(cloud, uiPort)
  scope.add(returnIdleMemory())
  log.info({ node: node.uuid, version }, 'the management node is ready')
  const stop = (signal: string) => {
    log.info({ signal }, 'stopping')
    scope.dispose().then(
      () => process.exit(0),
      (error) => fail('the management node did not stop in order', error),
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

/** Throws one line for each thing that is in the way. */
async function checked(config: ServerConfig): Promise<ServerConfig> {
  const problems = await findProblems(config)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return config
}

/** Consoles are reached where the UI listens, unless an operator said otherwise. */
async function tellConsolePort({ context }: Cloud, uiPort: number | undefined): Promise<void> {
  if (uiPort === undefined || context.config.get(proxyPort) !== proxyPort.defaultValue) return
  await context.config.set(proxyPort.category, proxyPort.name, uiPort)
}

/** The others have taken over what this node did: it must not do anything more, not even stop in order. */
function end(reason: string): never {
  process.stderr.write(`zstack: ${reason}\n`)
  process.exit(FENCED)
}

function fail(what: string, error: unknown): never {
  tell(what, error)
  process.exit(1)
}

/** One line for each problem. */
function tell(what: string, error: unknown): void {
  for (const problem of describeError(error).split('\n'))
    process.stderr.write(`zstack: ${what}: ${problem}\n`)
}

/** Takes back what a start that failed has begun: an announcement to other nodes, a listener, a lock. */
async function withdraw(scope: Scope): Promise<never> {
  setTimeout(() => process.exit(1), WITHDRAWAL_MS).unref()
  await scope
    .dispose()
    .catch((error) => log.warn({ err: describeError(error) }, 'a start was not taken back'))
  process.exit(1)
}

endOnBug(log)
let config: ServerConfig
try {
  config = readConfig(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`usage: ${usage}\n`)
  fail(COULD_NOT, error)
}
const scope = new Scope()
try {
  if (config.showMigrations) process.stdout.write(await describeMigrations(config))
  else await serve(await checked(config), scope)
} catch (error) {
  tell(COULD_NOT, error)
  await withdraw(scope)
}
