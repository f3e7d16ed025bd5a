import type { Disposable, ErrorBody } from '#kernel'
import type { TransportFigures } from './bus-traffic.ts'

/** What travels between management nodes, as JSON. */
export type Envelope = CallEnvelope | ReplyEnvelope | OverEnvelope | NewsEnvelope

export interface CallEnvelope {
  readonly kind: 'call'
  /** Chosen by the caller; a second envelope with it is the same call. */
  readonly id: string
  readonly from: string
  /** The run of the receiver it is meant for: a later one must not do again what an earlier may have done. */
  readonly toRun: number
  readonly message: string
  readonly input: unknown
  /** Absent when the call is meant for the node it is sent to. */
  readonly key?: string | undefined
  /** How many nodes have passed it on. */
  readonly passes: number
  readonly taskId?: string | undefined
  readonly taskName?: string | undefined
  /** Number of the oldest call the sender still waits for from this receiver. */
  readonly floor?: number
  /** Keys of the queues the caller is in. */
  readonly held?: readonly string[] | undefined
  /** How long the sender still waits, as it was sent: no clocks are compared. Absent when an older version sent it. */
  readonly leftMs?: number
}

export interface ReplyEnvelope {
  readonly kind: 'reply'
  readonly id: string
  readonly from: string
  /** What was asked and for which task, for those who look at the broker. */
  readonly message?: string
  readonly taskId?: string | undefined
  readonly output?: unknown
  readonly error?: ErrorBody
  /** In place of an answer: its time was up. What had not begun by then never will. */
  readonly late?: 'not begun' | 'begun'
}

/** The sender gives a call up, and wants to know whether it was begun. */
export interface OverEnvelope {
  readonly kind: 'over'
  readonly id: string
  readonly from: string
  /** Not `toRun`: a version that knows no deadlines must not take it for a call. */
  readonly ofRun: number
  readonly message: string
  readonly taskId?: string | undefined
}

/** A fact for every node. */
export interface NewsEnvelope {
  readonly kind: 'news'
  readonly from: string
  readonly name: string
  readonly data: unknown
}

/**
 * Carries envelopes between nodes. It may deliver one twice, late or out of order, and it may lose one only when a node or all
 * that stores it is lost; the bus above it copes with all of that.
 */
export interface Transport extends Disposable {
  /** Begins to receive. `receive` does not throw; while its promises are open no more than a bounded number follows. */
  open(receive: (envelope: Envelope) => Promise<void>): Promise<void>
  /** Resolves when it is stored for that node. Waits while no broker answers. */
  send(node: string, envelope: Envelope): Promise<void>
  /** To every node; whether to this one too does not matter. */
  broadcast(envelope: NewsEnvelope): Promise<void>
  /** How it is connected; absent where there is nothing to connect to. */
  figures?(): TransportFigures
}
