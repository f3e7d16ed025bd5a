import { CloudError, type ErrorBody, fromErrorBody, toErrorBody } from '#kernel'
import { type BusFigures, MessageTraffic } from './bus-traffic.ts'
import { type Begun, gone, noTimeLeft, notThere, stopped, timedOut, tooMany } from './call-errors.ts'
import type { Clock } from './clock.ts'
import { ReceivedCalls } from './received-calls.ts'
import type { CallEnvelope, Envelope, OverEnvelope, ReplyEnvelope, Transport } from './transport.ts'
import { TooLate, Turn } from './turn.ts'

/** What is asked of another node. */
export type RemoteCall = Pick<
  CallEnvelope,
  'message' | 'input' | 'key' | 'passes' | 'taskId' | 'taskName' | 'held'
> & {
  /** When the caller gives up, on this node's clock. */
  readonly deadlineMs: number
}

interface Pending {
  readonly node: string
  readonly message: string
  /** Run of the node that was asked. */
  readonly run: number
  readonly envelope: CallEnvelope
  readonly traffic: MessageTraffic
  readonly resolve: (output: unknown) => void
  readonly reject: (error: unknown) => void
  readonly askedAtMs: number
  readonly deadlineMs: number
  /** Until then the other node may begin and answer; from then on it is asked how far it is. */
  readonly overAtMs: number
  isOver: boolean
  sentAtMs: number
}

export interface RemoteCallsDeps {
  readonly self: string
  readonly transport: Transport
  readonly clock: Clock
  /** The run of a node that is in the cluster now; undefined when it is not. */
  readonly runOf: (node: string) => number | undefined
  /** Does what another node asks; its `turn` is begun or passed on before. */
  readonly serve: (call: CallEnvelope, turn: Turn) => Promise<unknown>
}

// A sender with more unanswered calls is told to slow down, instead of growing.
const MAX_PENDING = 20_000
// What may have been lost with a broker is asked for again; a repeat joins the call that is under way.
const ASK_AGAIN_MS = 15_000
// A look at all that is unanswered comes at most this often, however many calls end soon.
const LOOK_MS = 50
/** The last part of its time a caller keeps for hearing how far the other node is. */
const LAST_WORDS_MS = 2_000
const LAST_WORDS_PART = 0.1
// An older version does not tell how long it waits.
const UNTOLD_MS = 30 * 60_000

/**
 * Calls to other nodes and from them. A call ends when its answer comes, when the node it was sent to is declared dead, or when
 * its time is up; it is never lost in between, and never done twice by one run of a node.
 */
export class RemoteCalls {
  readonly #deps: RemoteCallsDeps
  // In the order in which they were made.
  readonly #pending = new Map<string, Pending>()
  readonly #received = new ReceivedCalls()
  readonly #traffic = new Map<string, MessageTraffic>()
  #run = 0
  readonly #begun = Promise.withResolvers<void>()
  #next = 0
  /** One for all calls: for what is due first. */
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined

  constructor(deps: RemoteCallsDeps) {
    this.#deps = deps
  }

  get figures(): BusFigures {
    const [oldest] = this.#pending.values()
    return {
      byMessage: this.#traffic,
      unanswered: this.#pending.size,
      oldestUnansweredMs: oldest === undefined ? 0 : this.#deps.clock.nowMs() - oldest.askedAtMs,
      received: this.#received.figures,
      transport: this.#deps.transport.figures?.(),
    }
  }

  /** Begins to listen; what comes is looked at when the run is known. */
  open(onNews: (name: string, data: unknown) => void): Promise<void> {
    return this.#deps.transport.open((envelope) => this.#receive(envelope, onNews))
  }

  /** Begins to take part, as this run of the node. */
  begin(run: number): void {
    this.#run = run
    this.#begun.resolve()
  }

  call(node: string, { deadlineMs, ...call }: RemoteCall): Promise<unknown> {
    const { self, runOf, clock } = this.#deps
    const traffic = this.#trafficOf(call.message)
    const refuse = (error: CloudError) => {
      traffic.failed += 1
      return Promise.reject(error)
    }
    traffic.calls += 1
    const asked = { node, message: call.message }
    if (this.#pending.size >= MAX_PENDING) return refuse(tooMany(asked, MAX_PENDING))
    const run = runOf(node)
    if (run === undefined) return refuse(notThere(asked))
    const now = clock.nowMs()
    const overAtMs = deadlineMs - Math.min(LAST_WORDS_MS, (deadlineMs - now) * LAST_WORDS_PART)
    if (overAtMs <= now) return refuse(noTimeLeft(asked))
    const id = `${self}.${this.#run}.${this.#next}`
    this.#next += 1
    return new Promise((resolve, reject) => {
      const envelope = { kind: 'call' as const, id, from: self, toRun: run, ...call }
      const times = { askedAtMs: now, sentAtMs: now, overAtMs, deadlineMs, isOver: false }
      this.#pending.set(id, { ...asked, run, envelope, traffic, resolve, reject, ...times })
      this.#send(id)
      this.#wakeBy(Math.min(overAtMs, now + ASK_AGAIN_MS))
    })
  }

  /** Ends the calls that only this run of a node could have answered. */
  nodeGone(node: string, run: number): void {
    this.#received.forget(node, run)
    for (const [id, pending] of this.#pending)
      if (pending.node === node && pending.run <= run) this.#end(id, gone(pending))
  }

  dispose(): void {
    this.#alarm?.cancel()
    for (const [id, pending] of this.#pending) this.#end(id, stopped(pending))
  }

  #trafficOf(message: string): MessageTraffic {
    let traffic = this.#traffic.get(message)
    if (traffic === undefined) {
      traffic = new MessageTraffic()
      this.#traffic.set(message, traffic)
    }
    return traffic
  }

  #send(id: string): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    const now = this.#deps.clock.nowMs()
    pending.sentAtMs = now
    // The oldest unanswered call bounds what the receiver has to remember.
    const leftMs = Math.max(1, Math.floor(pending.overAtMs - now))
    this.#post(pending.node, { ...pending.envelope, floor: this.#floor(pending.node), leftMs })
  }

  #post(node: string, envelope: Envelope): void {
    // What could not be sent is sent again later: whether the node can be reached is for the membership to say.
    this.#deps.transport.send(node, envelope).catch(() => undefined)
  }

  #floor(node: string): number {
    for (const pending of this.#pending.values())
      if (pending.node === node) return numberOf(pending.envelope.id)
    return this.#next
  }

  async #receive(envelope: Envelope, onNews: (name: string, data: unknown) => void): Promise<void> {
    const arrivedAtMs = this.#deps.clock.nowMs()
    await this.#begun.promise
    if (envelope.kind === 'news') {
      if (envelope.from !== this.#deps.self) onNews(envelope.name, envelope.data)
    } else if (envelope.kind === 'reply') this.#settle(envelope)
    else if (envelope.kind === 'over') this.#giveUp(envelope)
    else this.#serve(envelope, arrivedAtMs)
  }

  #serve(envelope: CallEnvelope, arrivedAtMs: number): void {
    if (envelope.toRun !== this.#run) return
    const { nowMs } = this.#deps.clock
    const turn = new Turn(arrivedAtMs + (envelope.leftMs ?? UNTOLD_MS), nowMs)
    const answer = this.#received.accept(envelope, turn, () => this.#answer(envelope, turn))
    void answer?.then((reply) => this.#post(envelope.from, reply))
  }

  #giveUp(over: OverEnvelope): void {
    if (over.ofRun !== this.#run) return
    const answer = this.#received.giveUp(over, this.#deps.self)
    void answer?.then((reply) => this.#post(over.from, reply))
  }

  async #answer(call: CallEnvelope, turn: Turn): Promise<ReplyEnvelope> {
    const { id, message, taskId } = call
    const base = { kind: 'reply' as const, id, from: this.#deps.self, message, taskId }
    try {
      const output = await this.#deps.serve(call, turn)
      return output === undefined ? base : { ...base, output }
    } catch (error) {
      if (error instanceof TooLate) return { ...base, late: 'not begun' }
      return { ...base, error: toErrorBody(error) }
    }
  }

  #settle({ id, output, error, late }: ReplyEnvelope): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    if (late !== undefined) {
      this.#timeOut(id, late === 'begun' ? 'yes' : 'no')
      return
    }
    const { traffic, askedAtMs } = pending
    traffic.roundTrip.add(this.#deps.clock.nowMs() - askedAtMs, error !== undefined)
    if (error !== undefined) {
      this.#end(id, error)
      return
    }
    this.#pending.delete(id)
    traffic.answered += 1
    pending.resolve(output)
  }

  #end(id: string, error: CloudError | ErrorBody): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    pending.traffic.failed += 1
    pending.reject(error instanceof CloudError ? error : fromErrorBody(error))
  }

  #timeOut(id: string, begun: Begun): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    pending.traffic.timedOut += 1
    pending.reject(timedOut(pending, this.#deps.clock.nowMs() - pending.askedAtMs, begun))
  }

  #wakeBy(atMs: number): void {
    if (this.#alarm !== undefined && this.#alarm.atMs <= atMs) return
    this.#alarm?.cancel()
    const { clock } = this.#deps
    const cancel = clock.wakeAfter(Math.max(0, atMs - clock.nowMs()), () => {
      this.#alarm = undefined
      this.#look()
    })
    this.#alarm = { atMs, cancel }
  }

  /** Does what is due for calls that are not answered. */
  #look(): void {
    const now = this.#deps.clock.nowMs()
    let dueMs = Number.POSITIVE_INFINITY
    for (const [id, pending] of this.#pending) {
      if (now >= pending.deadlineMs) this.#timeOut(id, 'unknown')
      else dueMs = Math.min(dueMs, this.#attend(id, pending, now))
    }
    if (this.#pending.size > 0) this.#wakeBy(Math.max(dueMs, now + LOOK_MS))
  }

  /** Returns when it is to be attended to again. */
  #attend(id: string, pending: Pending, now: number): number {
    if (pending.isOver) return pending.deadlineMs
    if (now >= pending.overAtMs) {
      pending.isOver = true
      const { node, run: ofRun, message, envelope } = pending
      const { from, taskId } = envelope
      this.#post(node, { kind: 'over', id, from, ofRun, message, taskId })
      return pending.deadlineMs
    }
    if (now - pending.sentAtMs >= ASK_AGAIN_MS) {
      pending.traffic.askedAgain += 1
      this.#send(id)
    }
    return Math.min(pending.overAtMs, pending.sentAtMs + ASK_AGAIN_MS)
  }
}

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf('.') + 1))
}
