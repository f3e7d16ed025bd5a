import { CloudError, clusterErrors, type ErrorBody, fromErrorBody, sysErrors, toErrorBody } from '#kernel'
import { ReceivedCalls } from './received-calls.ts'
import type { CallEnvelope, Envelope, ReplyEnvelope, Transport } from './transport.ts'

/** What is asked of another node. */
export type RemoteCall = Pick<
  CallEnvelope,
  'message' | 'input' | 'key' | 'passes' | 'taskId' | 'taskName' | 'held'
>

interface Pending {
  readonly node: string
  /** Run of the node that was asked. */
  readonly run: number
  readonly envelope: CallEnvelope
  readonly resolve: (output: unknown) => void
  readonly reject: (error: unknown) => void
  readonly askedAtMs: number
  sentAtMs: number
}

export interface RemoteCallsDeps {
  readonly self: string
  readonly transport: Transport
  /** The run of a node that is in the cluster now; undefined when it is not. */
  readonly runOf: (node: string) => number | undefined
  /** Does what another node asks. */
  readonly serve: (call: CallEnvelope) => Promise<unknown>
}

// A sender with more unanswered calls is told to slow down, instead of growing.
const MAX_PENDING = 20_000
// What may have been lost with a broker is asked for again; a repeat joins the call that is under way.
const ASK_AGAIN_MS = 15_000
const SWEEP_MS = 5_000
/** However long a node may work on one call. */
const LONGEST_CALL_MS = 4 * 60 * 60_000

/**
 * Calls to other nodes and from them. A call ends when its answer comes, when the node it was sent to is declared dead, or when
 * it takes too long; it is never lost in between, and never done twice by one run of a node.
 */
export class RemoteCalls {
  readonly #deps: RemoteCallsDeps
  readonly #pending = new Map<string, Pending>()
  readonly #received = new ReceivedCalls()
  #run = 0
  readonly #begun = Promise.withResolvers<void>()
  #next = 0
  #sweeper: NodeJS.Timeout | undefined

  constructor(deps: RemoteCallsDeps) {
    this.#deps = deps
  }

  get pending(): number {
    return this.#pending.size
  }

  /** Begins to listen; what comes is looked at when the run is known. */
  async open(onNews: (name: string, data: unknown) => void): Promise<void> {
    await this.#deps.transport.open((envelope) => this.#receive(envelope, onNews))
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** Begins to take part, as this run of the node. */
  begin(run: number): void {
    this.#run = run
    this.#begun.resolve()
  }

  call(node: string, call: RemoteCall): Promise<unknown> {
    if (this.#pending.size >= MAX_PENDING) return Promise.reject(tooMany(node))
    const { self, runOf } = this.#deps
    const run = runOf(node)
    if (run === undefined) return Promise.reject(notThere(node, call.message))
    const number = this.#next
    this.#next += 1
    const id = `${self}.${this.#run}.${number}`
    const now = performance.now()
    return new Promise((resolve, reject) => {
      const envelope = { kind: 'call' as const, id, from: self, toRun: run, ...call }
      this.#pending.set(id, { node, run, envelope, resolve, reject, askedAtMs: now, sentAtMs: now })
      this.#send(id)
    })
  }

  /** Ends the calls that only this run of a node could have answered. */
  nodeGone(node: string, run: number): void {
    this.#received.forget(node, run)
    for (const [id, pending] of this.#pending)
      if (pending.node === node && pending.run <= run) this.#settle(id, { error: toErrorBody(gone(pending)) })
  }

  dispose(): void {
    clearInterval(this.#sweeper)
    for (const [id, pending] of this.#pending) {
      const details = `the management node stopped before ${pending.envelope.message} was answered`
      this.#settle(id, { error: toErrorBody(new CloudError(sysErrors.notReady, details)) })
    }
  }

  #send(id: string): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    pending.sentAtMs = performance.now()
    // The oldest unanswered call bounds what the receiver has to remember.
    const envelope = { ...pending.envelope, floor: this.#floor(pending.node) }
    // What could not be sent is sent again later: whether the node can be reached is for the membership to say.
    this.#deps.transport.send(pending.node, envelope).catch(() => undefined)
  }

  #floor(node: string): number {
    // Calls are kept in the order in which they were made.
    for (const pending of this.#pending.values())
      if (pending.node === node) return numberOf(pending.envelope.id)
    return this.#next
  }

  async #receive(envelope: Envelope, onNews: (name: string, data: unknown) => void): Promise<void> {
    await this.#begun.promise
    if (envelope.kind === 'news') {
      if (envelope.from !== this.#deps.self) onNews(envelope.name, envelope.data)
    } else if (envelope.kind === 'reply') this.#settle(envelope.id, envelope)
    else this.#serve(envelope)
  }

  #serve(envelope: CallEnvelope): void {
    if (envelope.toRun !== this.#run) return
    const work = () => this.#answer(envelope)
    const answer = this.#received.accept(envelope, work)
    if (answer === undefined) return
    void answer
      .then((reply) => this.#deps.transport.send(envelope.from, reply))
      .catch(() => {
        // The caller asks again, or is dead.
      })
  }

  async #answer({ id, ...call }: CallEnvelope): Promise<ReplyEnvelope> {
    const base = { kind: 'reply' as const, id, from: this.#deps.self }
    try {
      const output = await this.#deps.serve({ id, ...call })
      return output === undefined ? base : { ...base, output }
    } catch (error) {
      return { ...base, error: toErrorBody(error) }
    }
  }

  #settle(id: string, outcome: { output?: unknown; error?: ErrorBody }): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    if (outcome.error === undefined) pending.resolve(outcome.output)
    else pending.reject(fromErrorBody(outcome.error))
  }

  #sweep(): void {
    const now = performance.now()
    for (const [id, pending] of this.#pending) {
      if (now - pending.askedAtMs > LONGEST_CALL_MS)
        this.#settle(id, { error: toErrorBody(tooLong(pending)) })
      else if (now - pending.sentAtMs > ASK_AGAIN_MS) this.#send(id)
    }
  }
}

export function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf('.') + 1))
}

function notThere(node: string, message: string): CloudError {
  const details = `${message} was not begun: the management node ${node} is not in the cluster`
  return new CloudError(clusterErrors.nodeGone, details)
}

function gone({ node, envelope }: Pending): CloudError {
  const details = `the management node ${node} died while it worked on ${envelope.message}; what it had begun is taken back or finished by another`
  return new CloudError(clusterErrors.nodeGone, details)
}

function tooLong({ node, envelope }: Pending): CloudError {
  const details = `the management node ${node} has not answered ${envelope.message} for ${LONGEST_CALL_MS / 3_600_000} hours`
  return new CloudError(sysErrors.timeout, details)
}

function tooMany(node: string): CloudError {
  const details = `${MAX_PENDING} calls to other management nodes are unanswered, the last to ${node}; try again in a moment`
  return new CloudError(sysErrors.nodeUnavailable, details, { retryAfterSeconds: 2 })
}
