import { createClient } from '#client'
import type { Api } from '#contract'
import { CloudError, newUuid } from '#kernel'

/** What a client knows of its call. Unknown: it never got to know, and the call may have been done, or may be one day. */
export type Outcome =
  | { readonly kind: 'ok'; readonly reply: Readonly<Record<string, unknown>> }
  | { readonly kind: 'refused'; readonly code: string; readonly details: string }
  | { readonly kind: 'unknown'; readonly reason: string }

export interface PatientClient {
  /** The session, good at every node. */
  logIn(): Promise<string>
  /** Calls an API at any node; polls its job at any other when one goes away. */
  perform(api: Api, input: Readonly<Record<string, unknown>>): Promise<Outcome>
  query(api: Api, conditions?: readonly string[]): Promise<Record<string, unknown>[]>
}

const REQUEST_TIMEOUT_MS = 4_000
const CALL_TIMEOUT_MS = 60_000

/**
 * A client of several management nodes, as a real one is: it stays with one node until that does not answer. A job that no node
 * has known for `lostJobMs` it gives up; within that time a node that is still unnoticed dead may be found to hold it.
 */
export function createPatientClient(
  urls: readonly string[],
  first: number,
  session?: string,
  lostJobMs = 6_000,
): PatientClient {
  const sender = new Sender(urls, first, lostJobMs)
  const client = createClient({
    baseUrl: '',
    fetch: (url, init = {}) => sender.send(String(url), init),
    ...(session === undefined ? {} : { sessionUuid: session }),
  })
  return {
    logIn: async () => {
      sender.begin()
      await client.logIn('admin', 'password')
      return client.sessionUuid ?? ''
    },
    perform: async (api, input) => {
      sender.begin()
      const signal = AbortSignal.timeout(CALL_TIMEOUT_MS)
      try {
        const reply = await client.call(api, input as never, { jobUuid: newUuid(), signal })
        return { kind: 'ok', reply: reply as Record<string, unknown> }
      } catch (error) {
        if (sender.hasLostJob) return { kind: 'unknown', reason: 'no node knows the job' }
        if (!(error instanceof CloudError) || error.name === 'Unreachable')
          return { kind: 'unknown', reason: String(error) }
        return { kind: 'refused', code: error.code, details: error.message }
      }
    },
    query: async (api, conditions = []) => {
      sender.begin()
      return (await client.query(api, conditions)).inventories
    },
  }
}

/** Sends the requests of one call at a time to whatever node answers. */
class Sender {
  readonly #urls: readonly string[]
  readonly #lostJobMs: number
  #at: number
  #deadline = 0
  #lostSince: number | undefined

  constructor(urls: readonly string[], first: number, lostJobMs: number) {
    this.#lostJobMs = lostJobMs
    this.#urls = urls
    this.#at = first % urls.length
  }

  get hasLostJob(): boolean {
    return this.#lostSince !== undefined
  }

  begin(): void {
    this.#deadline = performance.now() + CALL_TIMEOUT_MS
    this.#lostSince = undefined
  }

  async send(url: string, init: RequestInit): Promise<Response> {
    for (;;) {
      const isLate = performance.now() > this.#deadline
      try {
        const response = await this.#sendOnce(url, init)
        if (isLate || !(await this.#isElsewhere(response, url))) return response
      } catch (error) {
        if (isLate) throw error
        const job = jobOf(init)
        // It may have arrived: whether it did, its job tells.
        if (job !== undefined && !isRefusedConnection(error)) {
          this.#goOn()
          return Response.json({ location: `/api-jobs/${job}` }, { status: 202 })
        }
      }
      this.#goOn()
      await nextTry()
    }
  }

  #sendOnce(url: string, init: RequestInit): Promise<Response> {
    const signals = [AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...(init.signal ? [init.signal] : [])]
    return fetch((this.#urls[this.#at] ?? '') + url, { ...init, signal: AbortSignal.any(signals) })
  }

  #goOn(): void {
    this.#at = (this.#at + 1) % this.#urls.length
  }

  /**
   * True when another node may know more: this one does not serve yet, or does not know the job. What it says of a job it knows is
   * the word of the cloud, also when that is that a node was not ready.
   */
  async #isElsewhere(response: Response, url: string): Promise<boolean> {
    const isPoll = url.includes('/api-jobs/')
    if (isPoll && response.status === 404) {
      this.#lostSince ??= performance.now()
      return performance.now() - this.#lostSince < this.#lostJobMs
    }
    this.#lostSince = undefined
    if (isPoll) return false
    return response.status === 503 && /"SYS\.1010"/.test(await response.clone().text())
  }
}

/** As a real client waits before it asks again. */
function nextTry(): Promise<void> {
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  setTimeout(goOn, 50)
  return promise
}

function jobOf({ method, headers }: RequestInit): string | undefined {
  return method === 'GET' ? undefined : (headers as Record<string, string>)['X-Job-UUID']
}

/** Then nothing was sent. */
function isRefusedConnection(error: unknown): boolean {
  const cause = (error as { cause?: { code?: string } }).cause
  return cause?.code === 'ECONNREFUSED' || cause?.code === 'UND_ERR_CONNECT_TIMEOUT'
}
