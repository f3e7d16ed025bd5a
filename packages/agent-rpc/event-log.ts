import type { Writable } from 'node:stream'
import { newUuid } from '#kernel'
import type { AgentEvent } from './call.ts'

/** One line of the event stream: who numbers and how far, an event, or (an empty line) a sign of life. */
export type EventLine =
  | { readonly stream: string; readonly seq: number }
  | { readonly seq: number; readonly event: AgentEvent }

/** Name of the event that says some events were lost; its data is `{ missed }` (a number, or null when not known). */
export const EVENTS_LOST = 'agent.events-lost'

const HEARTBEAT_MS = 3_000
// A reader that far behind is cut off; it comes back and resumes by sequence number, or learns what it lost.
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024

/**
 * The last events of an agent, numbered, and the streams that follow them. A restart of the agent begins a new stream (its own
 * id), because the numbers begin anew.
 */
export class EventLog {
  readonly #stream = newUuid()
  readonly #keep: number
  readonly #recent: AgentEvent[] = []
  readonly #readers = new Set<Writable>()
  #seq = 0
  #heartbeat: NodeJS.Timeout | undefined

  constructor(keep = 1_000) {
    this.#keep = keep
  }

  emit(event: AgentEvent): void {
    this.#seq += 1
    this.#recent.push(event)
    if (this.#recent.length > this.#keep) this.#recent.shift()
    const line = lineOf({ seq: this.#seq, event })
    for (const reader of this.#readers) this.#send(reader, line)
  }

  /** Streams to `out` until it closes: what came after `after` of stream `stream`, or from now on when not given. */
  follow(out: Writable, after: { readonly stream: string; readonly seq: number } | undefined): void {
    const from = after === undefined ? this.#seq : after.stream === this.#stream ? after.seq : 0
    const oldest = this.#seq - this.#recent.length
    const isOtherStream = after !== undefined && after.stream !== this.#stream
    out.write(lineOf({ stream: this.#stream, seq: Math.max(from, oldest) }))
    if (isOtherStream || from < oldest) {
      const event = lostEvent(isOtherStream ? null : oldest - from)
      out.write(lineOf({ seq: Math.max(from, oldest), event }))
    }
    for (let seq = Math.max(from, oldest); seq < this.#seq; seq += 1) {
      const event = this.#recent[seq - oldest]
      if (event !== undefined) out.write(lineOf({ seq: seq + 1, event }))
    }
    this.#add(out)
  }

  /** Ends all streams. */
  close(): void {
    clearInterval(this.#heartbeat)
    for (const reader of this.#readers) reader.end()
  }

  #add(out: Writable): void {
    this.#readers.add(out)
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS).unref()
    out.on('close', () => {
      this.#readers.delete(out)
      if (this.#readers.size > 0) return
      clearInterval(this.#heartbeat)
      this.#heartbeat = undefined
    })
  }

  #beat(): void {
    for (const reader of this.#readers) this.#send(reader, '\n')
  }

  #send(reader: Writable, line: string): void {
    if (reader.writableLength > MAX_BUFFERED_BYTES) reader.destroy()
    else reader.write(line)
  }
}

function lostEvent(missed: number | null): AgentEvent {
  return { name: EVENTS_LOST, atMs: Date.now(), data: { missed } }
}

function lineOf(line: EventLine): string {
  return `${JSON.stringify(line)}\n`
}
