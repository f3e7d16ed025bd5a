import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describeError, type Logger } from '#kernel'
import type { WebRoute } from '#plugin-host'
import type { MetricSource } from './contract/extensions.ts'
import { Exposition } from './exposition.ts'

const LIMIT_MS = 2_000

export interface MetricsRouteDeps {
  readonly log: Logger
  readonly token: string
  readonly sources: () => readonly MetricSource[]
}

/** `/metrics`, for connections of this machine and for those that show the token. */
export function metricsRoute(deps: MetricsRouteDeps): WebRoute {
  const handler = async (request: IncomingMessage, response: ServerResponse) => {
    if (!isLocal(request) && !showsToken(request, deps.token)) {
      const words =
        'metrics are for connections from this machine, or with the token in metrics.token of the data directory\n'
      response.writeHead(401, { 'Content-Type': 'text/plain; charset=utf-8', 'WWW-Authenticate': 'Bearer' })
      response.end(words)
      return
    }
    const body = await collect(deps)
    response.writeHead(200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  return { method: 'GET', path: '/metrics', handler }
}

async function collect({ sources, log }: MetricsRouteDeps): Promise<string> {
  const exposition = new Exposition()
  const beganAtMs = performance.now()
  // Each writes its own part, so that what comes late from one is in nobody's way.
  const parts = await Promise.all(
    sources().map(async (source) => {
      const part = new Recorder()
      const problem = await told(source, part)
      if (problem === undefined) part.replay(exposition)
      else log.warn({ source: source.name, err: problem }, 'a part of the metrics is missing')
      return { name: source.name, isMissing: problem !== undefined }
    }),
  )
  const help = 'Parts of the metrics that could not be told in time; 0 when all could.'
  for (const { name, isMissing } of parts)
    exposition.gauge('scrape_incomplete', help, isMissing ? 1 : 0, { part: name })
  exposition.gauge('scrape_seconds', 'How long this answer took.', (performance.now() - beganAtMs) / 1000)
  return exposition.text()
}

/** Keeps what a source tells until it has told all. */
class Recorder {
  readonly #calls: ((to: Exposition) => void)[] = []
  gauge(...args: Parameters<Exposition['gauge']>): void {
    this.#calls.push((to) => to.gauge(...args))
  }
  counter(...args: Parameters<Exposition['counter']>): void {
    this.#calls.push((to) => to.counter(...args))
  }
  timing(...args: Parameters<Exposition['timing']>): void {
    this.#calls.push((to) => to.timing(...args))
  }
  replay(to: Exposition): void {
    for (const call of this.#calls) call(to)
  }
}

async function told(source: MetricSource, part: Recorder): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${LIMIT_MS} ms`), LIMIT_MS)
  })
  try {
    return await Promise.race([(async () => source.tell(part))().then(() => undefined), late])
  } catch (error) {
    return describeError(error)
  } finally {
    clearTimeout(timer)
  }
}

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** A proxy on this machine connects from it as well, for whomever; it says so in one of these headers. */
function isLocal({ socket, headers }: IncomingMessage): boolean {
  return LOOPBACK.test(socket.remoteAddress ?? '') && FORWARDED.every((name) => headers[name] === undefined)
}

function showsToken({ headers }: IncomingMessage, token: string): boolean {
  const given = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
  // Digests are of one length, so that neither content nor length is told by the time it takes.
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return given !== undefined && timingSafeEqual(digest(given), digest(token))
}
