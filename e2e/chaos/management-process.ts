import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { waitFor } from '#kernel'
import { BUG } from '#server/bug.ts'

export interface ManagementOptions {
  readonly name: string
  /** Arguments of the program beside those of the API's address. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly host: string
  readonly port: number
  /** Name of the network namespace it runs in; that of this process when absent. */
  readonly namespace?: string
  readonly log: string
}

const program = fileURLToPath(new URL('../../server/main.ts', import.meta.url))
const RESTART_PAUSE_MS = 300

/** The production program as a process that can be mistreated. Like a service it is started again when it ends by itself. */
export class ManagementProcess {
  readonly #options: ManagementOptions
  #child: ChildProcess | undefined
  #isWanted = false
  /** How often it ended without being told to: a node that was fenced does. */
  exits = 0
  /** How often a bug in it ended it. */
  bugs = 0

  constructor(options: ManagementOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get url(): string {
    return `http://${this.#options.host}:${this.#options.port}`
  }

  start(): void {
    this.#isWanted = true
    const { args, env, host, port, namespace, log } = this.#options
    const enter = namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`, '--']
    const command = [process.execPath, program, '--api', `${host}:${port}`, ...args]
    const output = openSync(log, 'a')
    // The kernel ends it when we are gone, however we went.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...enter, ...command], {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
      // The kernel shares processors among sessions, and gives one to each guest: each node has its own too.
      detached: true,
    })
    closeSync(output)
    this.#child = child
    child.on('exit', (code) => {
      if (code === BUG) this.bugs += 1
      if (this.#child !== child || !this.#isWanted) return
      this.exits += 1
      setTimeout(() => {
        if (this.#isWanted && this.#child === child) this.start()
      }, RESTART_PAUSE_MS)
    })
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#isWanted = false
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** Keeps it from running; `thaw` lets it go on as if no time had passed. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async isReady(): Promise<boolean> {
    try {
      const { ok } = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1_000) })
      return ok
    } catch {
      // Not reachable is not ready.
      return false
    }
  }

  async untilReady(timeoutMs = 30_000): Promise<void> {
    await waitFor(`${this.name} is ready`, () => this.isReady(), { timeoutMs, intervalMs: 50 })
  }
}
