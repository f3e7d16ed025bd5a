import { isObject } from '#contract'
import { CloudError, sysErrors } from '#kernel'
import type { AgentEvent } from './call.ts'
import type { EventLine } from './event-log.ts'

// A host that was taken over may say anything: what it says must neither fill the database nor stop the one who listens.
const MAX_WORDS = 8_000
const MAX_CAUSES = 20
const MAX_NAME = 200

/** The error an agent sent, whatever it really sent: of bounded size and depth, and with a code that is one. */
export function errorOfPeer(raw: unknown): CloudError {
  return errorAt(raw, MAX_CAUSES)
}

function errorAt(raw: unknown, causesLeft: number): CloudError {
  if (!isObject(raw) || typeof raw.details !== 'string')
    return new CloudError(sysErrors.internal, 'the agent told of a failure in a form that is not one of ours')
  const { code, description, details, opaque, cause, retryAfterSeconds } = raw
  const isCode = typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,40}\.\d{1,6}$/.test(code)
  const known = { code: isCode ? code : sysErrors.internal.code, description: shortened(description) }
  return new CloudError(known, shortened(details), {
    ...(cause === undefined || causesLeft === 0 ? {} : { cause: errorAt(cause, causesLeft - 1) }),
    ...(isObject(opaque) && JSON.stringify(opaque).length <= MAX_WORDS ? { opaque } : {}),
    ...(Number.isSafeInteger(retryAfterSeconds) ? { retryAfterSeconds: Number(retryAfterSeconds) } : {}),
  })
}

function shortened(words: unknown): string {
  if (typeof words !== 'string') return ''
  return words.length <= MAX_WORDS ? words : `${words.slice(0, MAX_WORDS)}…`
}

/** Reads one line of an event stream. Throws when it is not of the form agents use; the stream cannot be trusted from there on. */
export function readEventLine(text: string): EventLine {
  const line: unknown = JSON.parse(text)
  if (!isObject(line) || !isCount(line.seq)) throw new Error('a line of the event stream has no number')
  const { seq, stream, event } = line
  if (stream !== undefined) {
    if (typeof stream === 'string' && /^[\w-]{1,64}$/.test(stream)) return { stream, seq }
    throw new Error('the event stream has a name that is none')
  }
  if (isEvent(event)) return { seq, event }
  throw new Error('a line of the event stream holds no event')
}

function isEvent(value: unknown): value is AgentEvent {
  if (!isObject(value) || typeof value.name !== 'string' || value.name.length > MAX_NAME) return false
  return isCount(value.atMs) && isObject(value.data)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/** How far an agent says it is, or undefined when what it says is no percentage. */
export function percentOfPeer(raw: unknown): number | undefined {
  return typeof raw === 'number' && raw >= 0 && raw <= 100 ? raw : undefined
}
