import type { Envelope } from './transport.ts'

/** What RabbitMQ shows of a message, and traces, without opening it. */
export interface TraceProperties {
  /** `call vm.attach`. */
  readonly type: string
  /** The same for a call, all its repeats and its answer. */
  readonly correlationId?: string
  /** Milliseconds after which nobody wants it any more: the broker may drop it. */
  readonly expiration?: string
  readonly headers: Readonly<Record<string, string>>
}

/** Task and message of an envelope, for operators who look at queues and traces. */
export function propertiesOf(envelope: Envelope): TraceProperties {
  const { kind, from } = envelope
  const common = { 'zstack-from': from }
  if (envelope.kind === 'news') return { type: `${kind} ${envelope.name}`, headers: common }
  const { id, message = '', taskId } = envelope
  const headers = { ...common, ...(taskId === undefined ? {} : { 'zstack-task': taskId }) }
  const trace = { type: `${kind} ${message}`.trimEnd(), correlationId: id, headers }
  if (envelope.kind !== 'call' || envelope.leftMs === undefined) return trace
  // The receiver would not begin it after that.
  return { ...trace, expiration: String(Math.max(1, Math.ceil(envelope.leftMs))) }
}

/** The envelope as it is after it has waited for a broker; undefined when its time is up. */
export function withTimeGoneBy(envelope: Envelope, goneMs: number): Envelope | undefined {
  if (envelope.kind !== 'call' || envelope.leftMs === undefined) return envelope
  const leftMs = Math.floor(envelope.leftMs - goneMs)
  return leftMs < 1 ? undefined : { ...envelope, leftMs }
}
