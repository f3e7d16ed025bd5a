import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { AgentEvent, CallInput, CallOutput } from '#agent-rpc'
import type { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { fromErrorBody, waitFor } from '#kernel'

type Calls = typeof kvmHostCalls

export interface RunningCall<O> {
  readonly output: Promise<O>
  readonly progress: number[]
  abort(): void
}

/** A private libvirt host with our agent in it. */
export interface TestHost {
  readonly name: string
  /** `/dev/shm/lv-…`: its /run is `<directory>/run`, its /var/log `<directory>/log`. */
  readonly directory: string
  readonly events: AgentEvent[]
  call<N extends keyof Calls>(name: N, input: CallInput<Calls[N]>): Promise<CallOutput<Calls[N]>>
  start<N extends keyof Calls>(name: N, input: CallInput<Calls[N]>): RunningCall<CallOutput<Calls[N]>>
  /** Runs a program inside. */
  run(...argv: string[]): Promise<string>
  /** kill -9 of the agent, as a crash. */
  killAgent(): Promise<void>
  startAgent(): Promise<void>
  dispose(): Promise<void>
}

/** Boots a host; `shared` is a directory all hosts of the test see. */
export async function startTestHost(name: string, shared: string): Promise<TestHost> {
  const directory = join(shared, name)
  mkdirSync(directory, { recursive: true })
  const script = join(import.meta.dirname, 'private-host.sh')
  const supervisor = spawn(script, [directory, name], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(createInterface({ input: supervisor.stdout }), 'line')
  const init = await waitFor('the first process of the host', () => childOf(supervisor.pid as number))
  const enter = ['-t', init, '-m', '-n', '-u', '-i', '-p']
  const agent = new AgentProcess(enter, shared, join(directory, 'agent.log'))
  await agent.start()
  return {
    name,
    directory,
    events: agent.events,
    start: (call, input) => agent.call(call, input),
    call: (call, input) => agent.call<never>(call, input).output,
    run: (...argv) => run('nsenter', [...enter, ...argv]),
    killAgent: () => agent.kill(),
    startAgent: () => agent.start(),
    dispose: async () => {
      await agent.stop()
      const gone = once(supervisor, 'exit')
      process.kill(Number(init), 'SIGKILL')
      await gone
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Speaks with agent-process.ts over its standard input and output. */
class AgentProcess {
  readonly events: AgentEvent[] = []
  readonly #pending = new Map<number, Pending>()
  readonly #enter: readonly string[]
  readonly #shared: string
  readonly #log: string
  #child: ChildProcess | undefined
  #lastId = 0

  constructor(enter: readonly string[], shared: string, log: string) {
    this.#enter = enter
    this.#shared = shared
    this.#log = log
  }

  async start(): Promise<void> {
    const program = join(import.meta.dirname, 'agent-process.ts')
    const env = { ...process.env, UV_THREADPOOL_SIZE: '16', LOG_LEVEL: 'debug' }
    const child = spawn('nsenter', [...this.#enter, process.execPath, program, this.#shared], {
      stdio: ['pipe', 'pipe', openSync(this.#log, 'a')],
      env,
    })
    this.#child = child
    const ready = Promise.withResolvers<void>()
    child.once('exit', (code) => {
      ready.reject(new Error(`the agent ended with ${code}: ${readFileSync(this.#log, 'utf8')}`))
      for (const call of this.#pending.values()) call.reject(new Error('the agent ended'))
      this.#pending.clear()
    })
    createInterface({ input: child.stdout as Readable }).on('line', (line) => {
      const message = JSON.parse(line)
      if (message.ready) ready.resolve()
      else if (message.event) this.events.push(message.event)
      else settle(this.#pending, message)
    })
    await ready.promise
  }

  call<O>(call: string, input: object): RunningCall<O> {
    this.#lastId += 1
    const id = this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<O>()
    const progress: number[] = []
    this.#pending.set(id, { resolve, reject, progress })
    const write = (message: object) => this.#child?.stdin?.write(`${JSON.stringify(message)}\n`)
    write({ id, call, input })
    return { output: promise, progress, abort: () => write({ abort: id }) }
  }

  async kill(): Promise<void> {
    const ended = once(this.#child as ChildProcess, 'exit')
    this.#child?.kill('SIGKILL')
    await ended
  }

  /** An orderly end, by the end of its input. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.stdin?.end()
    await ended
  }
}

interface Pending {
  readonly resolve: (output: never) => void
  readonly reject: (error: Error) => void
  readonly progress: number[]
}

// biome-ignore lint/suspicious/noExplicitAny: a line of the test's own protocol
function settle(pending: Map<number, Pending>, message: any): void {
  const call = pending.get(message.id)
  if (message.progress !== undefined) {
    call?.progress.push(message.progress)
    return
  }
  pending.delete(message.id)
  if (message.error) call?.reject(fromErrorBody(message.error))
  else call?.resolve(message.output as never)
}

function childOf(pid: number): string | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return children === '' ? undefined : children.split(' ')[0]
}

function once(emitter: NodeJS.EventEmitter, event: string): Promise<void> {
  return new Promise((resolve) => emitter.once(event, () => resolve()))
}

function run(file: string, argv: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    child.stdout.on('data', (data) => (text += data))
    child.stderr.on('data', (data) => (text += data))
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${argv.join(' ')} ended with ${code}: ${text}`)),
    )
  })
}
