import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeError, waitFor } from '#kernel'

/** Where a quick-start cloud of this checkout keeps everything: `.zstack/cloud` or `.zstack/simulator`. */
export interface Instance {
  readonly mode: Mode
  readonly directory: string
  readonly logFile: string
}
export type Mode = 'cloud' | 'simulator'

export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url))
export const apiPort = Number(process.env.ZSTACK_API_PORT ?? 8080)
export const uiPort = Number(process.env.ZSTACK_UI_PORT ?? 5000)
export const apiUrl = `http://127.0.0.1:${apiPort}`
export const uiUrl = `http://127.0.0.1:${uiPort}`

export function instanceOf(mode: Mode): Instance {
  const root = process.env.ZSTACK_HOME ?? join(repositoryRoot, '.zstack')
  const directory = join(root, mode)
  return { mode, directory, logFile: join(directory, 'management.log') }
}

/** Those that were started here and not destroyed since. */
export function presentInstances(): Instance[] {
  return (['cloud', 'simulator'] as const).map(instanceOf).filter(({ directory }) => existsSync(directory))
}

/** Pid of the running management process, or undefined. The start time tells a reused pid from ours. */
export function runningPid(instance: Instance): number | undefined {
  try {
    const [pid = '', started] = readFileSync(pidFile(instance), 'utf8').trim().split(' ')
    return startTime(Number(pid)) === started ? Number(pid) : undefined
  } catch {
    // No file, or no such process: nothing of ours runs.
    return undefined
  }
}

/**
 * Starts the management process, detached, and waits until it serves. It listens on the machine's loopback through sockets made here,
 * also when it lives in another network namespace: `prefix` is the command that puts it there.
 */
export async function startManagement(instance: Instance, prefix: readonly string[]): Promise<number> {
  mkdirSync(instance.directory, { recursive: true, mode: 0o700 })
  const log = openSync(instance.logFile, 'a', 0o600)
  const api = await listenLocally(apiPort)
  const ui = await listenLocally(uiPort)
  const main = join(repositoryRoot, 'server', 'main.ts')
  const flags = [
    '--data-dir',
    join(instance.directory, 'data'),
    '--api',
    'fd:3',
    '--ui',
    'fd:4',
    '--address',
    '127.0.0.1',
  ]
  const [command = '', ...args] = [...prefix, process.execPath, main, ...flags]
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', log, log, fdOf(api), fdOf(ui)],
    cwd: repositoryRoot,
  })
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => resolve(child.pid ?? 0))
  })
  // The child has its own copies; these must go so that the ports are free when it ends.
  api.close()
  ui.close()
  child.unref()
  writeFileSync(pidFile(instance), `${pid} ${startTime(pid)}`)
  await waitForReady(instance, () => child.exitCode)
  return pid
}

async function waitForReady(instance: Instance, exitCode: () => number | null): Promise<void> {
  await waitFor(
    'the management node to be ready',
    async () => {
      if (exitCode() !== null) return 'ended'
      return (await fetch(`${apiUrl}/readyz`)).ok && 'ready'
    },
    { timeoutMs: 60_000, intervalMs: 50 },
  ).then((outcome) => {
    if (outcome === 'ended') {
      throw new Error(
        `the management process ended with code ${exitCode()}; its last words are in ${instance.logFile}`,
      )
    }
  })
}

/** Ends the management process in order; kills it when it takes more than 20 s. Returns false when none ran. */
export async function stopManagement(instance: Instance): Promise<boolean> {
  const pid = runningPid(instance)
  if (pid === undefined) return false
  process.kill(pid, 'SIGTERM')
  try {
    await waitFor('the management process to end', () => runningPid(instance) === undefined, {
      timeoutMs: 20_000,
    })
  } catch {
    // What it leaves unfinished is finished or taken back at the next start.
    process.kill(pid, 'SIGKILL')
    await waitFor('the killed management process to end', () => runningPid(instance) === undefined)
  }
  rmSync(pidFile(instance), { force: true })
  return true
}

function pidFile(instance: Instance): string {
  return join(instance.directory, 'management.pid')
}

function startTime(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended, whoever should collect it.
  return fields[0] === 'Z' ? undefined : fields[19]
}

function listenLocally(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken =
        error.code === 'EADDRINUSE'
          ? `port ${port} of 127.0.0.1 is taken by another program`
          : describeError(error)
      reject(new Error(`${taken}; free it, or choose others with ZSTACK_API_PORT and ZSTACK_UI_PORT`))
    })
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

function fdOf(server: Server): number {
  // The handle's descriptor has no public accessor, yet handing over a socket is the documented use of listen({ fd }).
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}
