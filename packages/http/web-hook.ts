import { setTimeout as sleep } from 'node:timers/promises'
import { type Disposable, describeError, type Logger } from '#kernel'
import { HttpFailure, type HttpReply } from './reply.ts'

/** Tells clients that a job ended by calling the URL they gave. */
export interface WebHooks extends Disposable {
  /** Waits for `reply` and delivers it in the background. */
  deliver(hook: { url: string; jobUuid: string; reply: () => Promise<HttpReply | undefined> }): void
}

export interface WebHookOptions {
  readonly log: Logger
  /** Waits between attempts; tests give one that does not. */
  readonly wait?: ((ms: number, signal: AbortSignal) => Promise<unknown>) | undefined
}

const ATTEMPTS = 16
const PAUSE_MS = 2_000
const ATTEMPT_TIMEOUT_MS = 10_000

/** Reads the header X-Web-Hook. Throws HttpFailure(400) for anything but an http or https URL. */
export function webHookUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.parse(text)
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url.href
  throw new HttpFailure(
    400,
    `the header X-Web-Hook must be an http or https URL, got '${text.slice(0, 200)}'`,
  )
}

export function createWebHooks(options: WebHookOptions): WebHooks {
  const stopped = new AbortController()
  const wait = options.wait ?? ((ms, signal) => sleep(ms, undefined, { signal, ref: false }))
  const run = async (hook: Parameters<WebHooks['deliver']>[0]) => {
    const reply = await hook.reply()
    if (reply === undefined) return
    for (let attempt = 1; attempt <= ATTEMPTS && !stopped.signal.aborted; attempt += 1) {
      const failure = await post(hook.url, hook.jobUuid, reply, stopped.signal)
      if (failure === undefined) return
      const fields = { jobUuid: hook.jobUuid, url: hook.url, attempt, err: failure }
      options.log.warn(fields, 'a web hook was not delivered')
      if (attempt < ATTEMPTS) await wait(PAUSE_MS, stopped.signal)
    }
  }
  return {
    deliver: (hook) => {
      run(hook).catch((error) => {
        if (stopped.signal.aborted) return
        options.log.error({ jobUuid: hook.jobUuid, err: describeError(error) }, 'a web hook failed by a bug')
      })
    },
    dispose: () => stopped.abort(),
  }
}

/** The reason of the failure, or undefined. Redirects are failures: the client named the URL, nobody else may. */
async function post(
  url: string,
  jobUuid: string,
  reply: HttpReply,
  stop: AbortSignal,
): Promise<string | undefined> {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'X-Job-UUID': jobUuid,
    'X-Job-Success': String(reply.status === 200),
  }
  const signal = AbortSignal.any([stop, AbortSignal.timeout(ATTEMPT_TIMEOUT_MS)])
  try {
    const init = { method: 'POST', headers, body: reply.body, signal, redirect: 'manual' as const }
    const response = await fetch(url, init)
    await response.body?.cancel()
    return response.ok ? undefined : `the receiver answered ${response.status}`
  } catch (error) {
    return describeError(error)
  }
}
