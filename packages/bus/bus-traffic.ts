import { Timing } from '#kernel'

/** What became of the calls of one message to other nodes; only grows. */
export class MessageTraffic {
  /** Including those that were refused at once. */
  calls = 0
  answered = 0
  /** Ended with an error, of the other node's or because it died. */
  failed = 0
  timedOut = 0
  /** Sent once more because no answer had come. */
  askedAgain = 0
  /** Until the answer, good or bad; waiting and work over there included. */
  readonly roundTrip = new Timing()
}

/** Connection to a broker. */
export interface TransportFigures {
  readonly isConnected: boolean
  /** The broker takes nothing at the moment: it is short of memory or disk. */
  readonly isBlocked: boolean
  /** Connections made after the first one. */
  readonly reconnects: number
}

/** What a bus has done with other nodes, for those who watch it. */
export interface BusFigures {
  /** By message; only those this node has called, so that no other node can make it grow. */
  readonly byMessage: ReadonlyMap<string, MessageTraffic>
  /** Calls to other nodes not answered yet. */
  readonly unanswered: number
  /** Since when the oldest of them is; 0 without any. */
  readonly oldestUnansweredMs: number
  /** Calls of other nodes this one works on, and those that wait for their turn or for a third node. */
  readonly received: { readonly begun: number; readonly waiting: number }
  /** Undefined when there is no broker, as in tests. */
  readonly transport: TransportFigures | undefined
}
