import { CloudError, defineError, sysErrors } from '#kernel'
import {
  jobParallelism,
  jobSlowAfter,
  maxUnfinishedJobs,
  maxUnfinishedJobsPerAccount,
} from './admission-configs.ts'
import type { Config } from './config.ts'
import { JobLine } from './job-line.ts'

const tooManyUnfinished = defineError('LOAD.1001', 'Too many API calls are unfinished')

/** What admission knows of a job: who asks, and the queue it will run in. */
export interface AdmissionJob {
  readonly taskId: string
  /** Shown to operators: the API's name. */
  readonly label: string
  readonly accountUuid: string
  readonly key: string | undefined
  readonly signal: AbortSignal | undefined
}

/** One job as operators see it. Slow ones run, but hold no slot any more. */
export interface AdmissionEntry extends Omit<AdmissionJob, 'signal'> {
  readonly state: 'running' | 'slow' | 'waits for a slot' | 'waits for its key'
  /** How long it is in that state; a slow one is counted from its start. */
  readonly sinceMs: number
}

export interface AdmissionFigures {
  /** Accepted and not ended. */
  readonly unfinished: number
  /** Those that hold a slot, and those that no longer do because they take long. */
  readonly running: number
  readonly slow: number
  readonly waiting: number
  /** Of those that wait now; 0 when none does. */
  readonly oldestWaitMs: number
  /** Calls refused since the start, by the global configuration that says so. */
  readonly refused: ReadonlyMap<string, number>
}

/**
 * Bounds how many jobs run at once, so that a flood costs its own waiting and not the memory and speed of all: accepted jobs
 * beyond the limit wait as small records. Accounts take turns; within an account, and for each key, it is first come first served.
 * Only jobs pass here: what they call runs inside their slot, so nobody who holds a slot ever waits for one.
 */
export interface Admission {
  /** Counts a job in; `leave` counts it out, once. Throws LOAD.1001 with `retryAfterSeconds` at a limit. */
  enter(accountUuid: string): void
  leave(accountUuid: string): void
  /** Runs `work` when it is its turn. Rejects with SYS.1017 when the signal fires before, and with what `close` was given. */
  run<T>(job: AdmissionJob, work: () => Promise<T>): Promise<T>
  readonly figures: AdmissionFigures
  entries(): AdmissionEntry[]
  /** Rejects all that waits with `reason`, now and later; what runs goes on. */
  close(reason: CloudError): void
}

interface ConfigName {
  readonly category: string
  readonly name: string
}

function nameOf({ category, name }: ConfigName): string {
  return `${category}.${name}`
}

interface Entry extends AdmissionJob {
  readonly seq: number
  readonly enqueuedAtMs: number
  startedAtMs: number
  begin: () => void
  refuse: (error: CloudError) => void
}

class JobAdmission implements Admission {
  readonly #config: Config
  readonly #line = new JobLine<Entry>()
  // Each in the order of arrival there.
  readonly #waiting = new Set<Entry>()
  readonly #running = new Set<Entry>()
  readonly #slow = new Set<Entry>()
  readonly #unfinishedOf = new Map<string, number>()
  readonly #refused = new Map([maxUnfinishedJobs, maxUnfinishedJobsPerAccount].map((c) => [nameOf(c), 0]))
  #unfinished = 0
  #seq = 0
  #timer: NodeJS.Timeout | undefined
  #closed: CloudError | undefined

  constructor(config: Config) {
    this.#config = config
    config.onChange(jobParallelism, () => this.#startNext())
    config.onChange(jobSlowAfter, () => {
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#startNext()
    })
  }

  get figures(): AdmissionFigures {
    const [oldest] = this.#waiting
    return {
      unfinished: this.#unfinished,
      running: this.#running.size,
      slow: this.#slow.size,
      waiting: this.#waiting.size,
      oldestWaitMs: oldest === undefined ? 0 : performance.now() - oldest.enqueuedAtMs,
      refused: this.#refused,
    }
  }

  enter(accountUuid: string): void {
    const mine = this.#unfinishedOf.get(accountUuid) ?? 0
    if (mine >= this.#config.get(maxUnfinishedJobsPerAccount))
      throw this.#refusal(`the account ${accountUuid} has`, mine, maxUnfinishedJobsPerAccount)
    if (this.#unfinished >= this.#config.get(maxUnfinishedJobs))
      throw this.#refusal('this management node has', this.#unfinished, maxUnfinishedJobs)
    this.#unfinishedOf.set(accountUuid, mine + 1)
    this.#unfinished += 1
  }

  leave(accountUuid: string): void {
    const mine = this.#unfinishedOf.get(accountUuid) ?? 0
    if (mine <= 1) this.#unfinishedOf.delete(accountUuid)
    else this.#unfinishedOf.set(accountUuid, mine - 1)
    this.#unfinished -= 1
  }

  async run<T>(job: AdmissionJob, work: () => Promise<T>): Promise<T> {
    if (job.signal?.aborted === true) throw cancelled(job)
    if (this.#closed !== undefined) throw this.#closed
    const entry = this.#newEntry(job)
    if (this.#hasSlot() && this.#line.isEmpty && this.#line.claim(job.key)) this.#start(entry)
    else await this.#turnOf(entry)
    try {
      return await work()
    } finally {
      if (!this.#running.delete(entry)) this.#slow.delete(entry)
      this.#line.passOn(entry.key)
      this.#startNext()
    }
  }

  entries(): AdmissionEntry[] {
    const now = performance.now()
    const shown = (entry: Entry, state: AdmissionEntry['state'], since: number): AdmissionEntry => {
      const { taskId, label, accountUuid, key } = entry
      return { taskId, label, accountUuid, key, state, sinceMs: now - since }
    }
    const reason = (entry: Entry) => (this.#line.isBehind(entry) ? 'waits for its key' : 'waits for a slot')
    return [
      ...[...this.#slow].map((entry) => shown(entry, 'slow', entry.startedAtMs)),
      ...[...this.#running].map((entry) => shown(entry, 'running', entry.startedAtMs)),
      ...[...this.#waiting].map((entry) => shown(entry, reason(entry), entry.enqueuedAtMs)),
    ]
  }

  close(reason: CloudError): void {
    this.#closed = reason
    clearTimeout(this.#timer)
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    this.#line.clear()
    for (const entry of waiting) entry.refuse(reason)
  }

  #newEntry({ taskId, label, accountUuid, key, signal }: AdmissionJob): Entry {
    this.#seq += 1
    const times = { enqueuedAtMs: performance.now(), startedAtMs: 0 }
    return { taskId, label, accountUuid, key, signal, seq: this.#seq, ...times, begin: none, refuse: none }
  }

  #hasSlot(): boolean {
    return this.#running.size < this.#config.get(jobParallelism)
  }

  #turnOf(entry: Entry): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const { signal } = entry
      const cancel = () => this.#cancel(entry)
      const stop = () => signal?.removeEventListener('abort', cancel)
      entry.begin = () => {
        stop()
        resolve()
      }
      entry.refuse = (error) => {
        stop()
        reject(error)
      }
      signal?.addEventListener('abort', cancel, { once: true })
      this.#waiting.add(entry)
      this.#line.add(entry)
      this.#startNext()
    })
  }

  #startNext(): void {
    this.#letSlowOnesGo()
    while (this.#hasSlot()) {
      const next = this.#line.next()
      if (next === undefined) return
      this.#waiting.delete(next)
      this.#start(next)
    }
    this.#watch()
  }

  #start(entry: Entry): void {
    entry.startedAtMs = performance.now()
    this.#running.add(entry)
    entry.begin()
  }

  /** Takes the slots of those that run for long: a few hundred slow downloads would stop the whole cloud. */
  #letSlowOnesGo(): void {
    if (this.#line.isEmpty) return
    const limit = performance.now() - this.#config.get(jobSlowAfter) * 1000
    for (const entry of this.#running) {
      if (entry.startedAtMs > limit) return
      this.#running.delete(entry)
      this.#slow.add(entry)
    }
  }

  /** One timer for all, and only while somebody waits for a slot: for the oldest that runs to become slow. */
  #watch(): void {
    const [oldest] = this.#running
    if (this.#timer !== undefined || this.#line.isEmpty || oldest === undefined) return
    const dueMs = oldest.startedAtMs + this.#config.get(jobSlowAfter) * 1000 - performance.now()
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#startNext()
      },
      Math.max(1, dueMs),
    )
    this.#timer.unref()
  }

  #cancel(entry: Entry): void {
    if (!this.#waiting.delete(entry)) return
    this.#line.remove(entry)
    entry.refuse(cancelled(entry))
    this.#startNext()
  }

  #refusal(who: string, unfinished: number, limit: ConfigName): CloudError {
    const name = nameOf(limit)
    this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1)
    // The longer the first in line has waited by now, the later is there room.
    const retryAfterSeconds = Math.min(60, Math.max(1, Math.ceil(this.figures.oldestWaitMs / 2000)))
    const details = `${who} ${unfinished} unfinished API calls, as many as the global configuration ${name} allows; wait until some have ended, then repeat the call`
    return new CloudError(tooManyUnfinished, details, {
      retryAfterSeconds,
      opaque: { limit: name, unfinished },
    })
  }
}

export function createAdmission(config: Config): Admission {
  return new JobAdmission(config)
}

/** Whether a call was refused because there are too many already: its caller must know at once. */
export function isOverload(error: unknown): error is CloudError {
  return error instanceof CloudError && error.code === tooManyUnfinished.code
}

function cancelled({ label }: AdmissionJob): CloudError {
  return new CloudError(sysErrors.cancelled, `${label} was cancelled before it was begun`)
}

function none(): void {}
