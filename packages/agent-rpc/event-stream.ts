import type { IncomingMessage } from 'node:http'
import { type Disposable, describeError, type Logger } from '#kernel'
import type { AgentEvent } from './call.ts'
import type { EventLine } from './event-log.ts'
import { readLines } from './lines.ts'
import { readEventLine } from './peer-words.ts'

export interface EventFollower {
  open(path: string, signal: AbortSignal): Promise<IncomingMessage>
  /** Puts a failure into words. */
  explain(error: unknown): unknown
  /** Silence after which the stream counts as broken; the agent gives a sign of life more often. */
  readonly silenceMs: number
  readonly logger: Logger
  onEvent(event: AgentEvent): void
  onUp(): void
  onDown(error: unknown): void
}

const MAX_LINE_BYTES = 1024 * 1024
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

/** Reads an agent's event stream for ever, resuming by sequence number after each break, until disposed. */
export function followEvents(follower: EventFollower): Disposable {
  const stop = new AbortController()
  const ended = follow(follower, stop.signal)
  return {
    dispose: () => {
      stop.abort()
      return ended
    },
  }
}

interface Position {
  stream: string
  seq: number
}

async function follow(follower: EventFollower, stop: AbortSignal): Promise<void> {
  const state: { position: Position | undefined; up: boolean; known: boolean } = {
    position: undefined,
    up: false,
    known: false,
  }
  let pauseMs = FIRST_PAUSE_MS
  while (!stop.aborted) {
    try {
      await readStream(follower, stop, state)
    } catch (error) {
      if (stop.aborted) return
      if (state.up || !state.known) follower.onDown(follower.explain(error))
      if (state.up) pauseMs = FIRST_PAUSE_MS
      state.up = false
      state.known = true
    }
    await pause(pauseMs * (0.5 + Math.random()), stop)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}

/** Reads one connection to its end, which is always a failure. */
async function readStream(
  follower: EventFollower,
  stop: AbortSignal,
  state: { position: Position | undefined; up: boolean; known: boolean },
): Promise<never> {
  const silence = new AbortController()
  const { position } = state
  const query = position === undefined ? '' : `?after=${position.seq}&stream=${position.stream}`
  const onSilence = () => silence.abort(new Error(`nothing was heard for ${follower.silenceMs} ms`))
  const timer = setTimeout(onSilence, follower.silenceMs)
  try {
    const response = await follower.open(`/events${query}`, AbortSignal.any([stop, silence.signal]))
    for await (const text of readLines(response, MAX_LINE_BYTES)) {
      timer.refresh()
      if (text !== '') take(follower, state, readEventLine(text))
    }
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
  throw new Error('the agent ended the event stream')
}

function take(
  follower: EventFollower,
  state: { position: Position | undefined; up: boolean; known: boolean },
  line: EventLine,
): void {
  if ('stream' in line) {
    state.position = { stream: line.stream, seq: line.seq }
    state.up = true
    state.known = true
    follower.onUp()
    return
  }
  if (state.position !== undefined) state.position.seq = line.seq
  try {
    follower.onEvent(line.event)
  } catch (error) {
    // One event that cannot be digested must not stop those after it.
    follower.logger.error({ event: line.event.name, reason: describeError(error) }, 'event handler failed')
  }
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      stop.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    stop.addEventListener('abort', done, { once: true })
  })
}
