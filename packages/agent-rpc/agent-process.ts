import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { int, parse, struct, text } from '#contract'
import { CloudError, createLogger, describeError, type Logger, sysErrors, waitFor } from '#kernel'
import type { TlsIdentity } from './ca.ts'
import type { AgentCall, AgentEvent, AgentHandlers } from './call.ts'
import { epochFile } from './epoch-file.ts'
import type { PeerRoute, UpgradeRoute } from './routes.ts'
import { createAgentServer } from './server.ts'

/** What an area's handlers are built from. */
export interface AgentDeps {
  readonly uuid: string
  readonly bundleHash: string
  /** Directory of the agent on this host, gone when the agent is removed: what it has to remember between starts goes here. */
  readonly home: string
  /** When this process started. */
  readonly startedAtMs: number
  /** What this agent shows when it dials another one. */
  readonly tls: TlsIdentity
  /** Settings the management wrote at deployment, by name. */
  readonly config: Readonly<Record<string, unknown>>
  readonly logger: Logger
  /** Tells the management that something happened. */
  emit(event: AgentEvent): void
}

export interface AgentParts<Calls extends Readonly<Record<string, AgentCall>>> {
  readonly handlers: AgentHandlers<Calls>
  readonly peerRoutes?: readonly PeerRoute[]
  readonly upgradeRoutes?: readonly UpgradeRoute[]
  /** Lets go of what the handlers hold, when the agent stops. Never of VMs or networks. */
  dispose?(): void | Promise<void>
}

export interface AgentProgram<Calls extends Readonly<Record<string, AgentCall>>> {
  readonly role: string
  readonly calls: Calls
  assemble(deps: AgentDeps): Promise<AgentParts<Calls>>
}

export const agentFiles = {
  config: 'agent.json',
  pid: 'agent.pid',
  /** The highest epoch of the cluster the agent was called at. */
  epoch: 'cluster-epoch',
  log: 'agent.log',
  certificate: 'pki/agent.cert.pem',
  key: 'pki/agent.key.pem',
  authority: 'pki/ca.cert.pem',
} as const

const configShape = {
  uuid: text('Uuid of the resource the agent serves.'),
  role: text('Role.'),
  bundleHash: text('Hash of the bundle.'),
  listen: struct('AgentListen', 'Where it listens.', { address: text('Address.'), port: int('Port.') }),
}

/**
 * The whole life of an agent process, for `agents/<role>/main.ts`. Arguments: `<verb> <home>` with the verbs `run` (in the
 * foreground, until SIGTERM), `start` (ends an agent of this home that runs, and starts a new one of its own session) and `stop`.
 */
export async function runAgentProcess<Calls extends Readonly<Record<string, AgentCall>>>(
  program: AgentProgram<Calls>,
  [verb, home] = process.argv.slice(2),
): Promise<void> {
  if (home === undefined || !home.startsWith('/')) throw usage(program.role)
  if (verb === 'run') return serveUntilStopped(program, home)
  if (verb !== 'start' && verb !== 'stop') throw usage(program.role)
  await stopRunning(home)
  if (verb === 'start') startDetached(home)
}

function usage(role: string): Error {
  return new Error(`usage: main.ts run|start|stop <home of the ${role} agent, absolute>`)
}

async function serveUntilStopped<Calls extends Readonly<Record<string, AgentCall>>>(
  program: AgentProgram<Calls>,
  home: string,
): Promise<void> {
  const startedAtMs = Date.now()
  const logger = createLogger({ name: program.role })
  const { uuid, bundleHash, listen, config } = await readConfig(home, program.role)
  const tls = await readIdentity(home)
  let emit: (event: AgentEvent) => void = () => undefined
  const deps = { uuid, bundleHash, home, startedAtMs, tls, config, logger, emit: (e: AgentEvent) => emit(e) }
  const parts = await program.assemble(deps)
  const epochs = epochFile(join(home, agentFiles.epoch))
  const server = createAgentServer({ ...parts, uuid, bundleHash, tls, calls: program.calls, epochs, logger })
  emit = server.emit
  const port = await server.listen(listen.port, listen.address)
  await writeFile(join(home, agentFiles.pid), `${process.pid}\n`)
  logger.info({ uuid, bundleHash, address: listen.address, port }, 'agent started')
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name))
  })
  logger.info({ signal }, 'agent stopping')
  await server.close()
  await parts.dispose?.()
  await rm(join(home, agentFiles.pid), { force: true })
  logger.info({}, 'agent stopped')
  // Native libraries may keep threads of their own; everything of ours has ended.
  process.exit(0)
}

async function readConfig(home: string, role: string) {
  const path = join(home, agentFiles.config)
  try {
    const raw = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    const config = raw.config as Readonly<Record<string, unknown>> | undefined
    const fixed = parse(configShape, raw, path)
    if (fixed.role !== role) throw new Error(`it is for the role ${fixed.role}, this is ${role}`)
    return { ...fixed, config: config ?? {} }
  } catch (cause) {
    throw new CloudError(sysErrors.ioError, `cannot read the agent's configuration ${path}`, { cause })
  }
}

async function readIdentity(home: string): Promise<TlsIdentity> {
  const [ca, cert, key] = await Promise.all(
    [agentFiles.authority, agentFiles.certificate, agentFiles.key].map((name) =>
      readFile(join(home, name), 'utf8'),
    ),
  )
  if (ca === undefined || cert === undefined || key === undefined)
    throw new Error('unreachable: three were read')
  return { ca, cert, key }
}

/** The agent of this home that runs now: its pid file may be stale and the number somebody else's by now. */
function runningPid(home: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(home, agentFiles.pid), 'utf8'))
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return argv.includes('run') && argv.includes(home) && pid !== process.pid ? pid : undefined
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

async function stopRunning(home: string): Promise<void> {
  const pid = runningPid(home)
  if (pid === undefined) return
  process.kill(pid, 'SIGTERM')
  const isGone = () => runningPid(home) !== pid
  try {
    await waitFor(`agent ${pid} to stop`, isGone, { timeoutMs: 10_000 })
  } catch (error) {
    // Commands are idempotent and VMs live outside the agent: a stuck one can be killed.
    process.stderr.write(`${describeError(error)}; killing it\n`)
    process.kill(pid, 'SIGKILL')
    await waitFor(`killed agent ${pid} to be gone`, isGone)
  }
}

function startDetached(home: string): void {
  const log = openSync(join(home, agentFiles.log), 'a', 0o600)
  const argv = [process.argv[1] ?? '', 'run', home]
  // Calls into libvirt wait in threads; with Node's four, short ones would queue behind a migration.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '16' }
  const child = spawn(process.execPath, argv, { detached: true, stdio: ['ignore', log, log], cwd: '/', env })
  // At once, so that a second start finds this one even before it listens.
  if (child.pid !== undefined) writeFileSync(join(home, agentFiles.pid), `${child.pid}\n`)
  child.unref()
  closeSync(log)
}
