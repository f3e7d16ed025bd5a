import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Disposable } from '#kernel'

/** A whole server in a process of its own, on a free port of the loopback. */
export interface ServerProcess extends Disposable {
  readonly origin: string
  /** User and system CPU time so far. */
  cpuSeconds(): Promise<number>
  /** A line of /proc/PID/status in MB: VmRSS, VmHWM (the highest so far), RssAnon (without what is mapped from files). */
  memoryMb(name: string): Promise<number>
  /** Ends it as a power cut does; returns when it is gone. */
  kill(): Promise<void>
}

// Clock ticks of a second, the same on every Linux that matters.
const TICKS = 100

export interface ServerOptions {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a server on a data directory; returns when it says that it is ready. */
export async function startServer(dataDir: string, options: ServerOptions = {}): Promise<ServerProcess> {
  const main = join(import.meta.dirname, '..', 'server', 'main.ts')
  const { args = [], env = {} } = options
  const child = spawn(process.execPath, [main, '--data-dir', dataDir, '--api', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'pipe', 2],
    env: { ...process.env, ...env },
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await ended
  }
  const dispose = () => end('SIGTERM')
  try {
    const port = await readyPort(child, ended)
    return {
      origin: `http://127.0.0.1:${port}`,
      cpuSeconds: async () => {
        const fields = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
        return (Number(fields[11]) + Number(fields[12])) / TICKS
      },
      memoryMb: async (name) => {
        const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
        return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
      },
      kill: () => end('SIGKILL'),
      dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

async function readyPort(child: ChildProcess, ended: Promise<void>): Promise<number> {
  if (child.stdout === null) throw new Error('the server has no output')
  let port = 0
  const ready = new Promise<boolean>((resolve) => {
    createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (line) => {
      port = Number(/"port":(\d+).*the API listens/.exec(line)?.[1] ?? port)
      if (line.includes('the management node is ready')) resolve(true)
    })
  })
  if (!(await Promise.race([ready, ended.then(() => false)])))
    throw new Error('the server ended before it was ready; what it said is above')
  return port
}
