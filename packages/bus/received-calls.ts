import { CloudError, clusterErrors, toErrorBody } from '#kernel'
import type { CallEnvelope, ReplyEnvelope } from './transport.ts'

type Answer = Promise<ReplyEnvelope>

/** What one run of a sender asked for. */
interface Sender {
  readonly run: number
  /** Numbers below it were answered and read: nothing of them is remembered. */
  floor: number
  /** By number; undefined when the answer was given too long ago to be kept. */
  readonly calls: Map<number, Answer | undefined>
  /** Answered ones, oldest first. */
  readonly answered: { readonly number: number; readonly atMs: number }[]
}

// Longer than it takes a sender to ask several times for an answer that was lost.
const KEEP_ANSWERS_MS = 120_000

/**
 * Makes sure that a call is done once, however often it is delivered. Senders number their calls and tell the oldest they still wait
 * for: below it nothing needs to be remembered, so that no clock decides whether a call is new.
 */
export class ReceivedCalls {
  readonly #senders = new Map<string, Sender>()

  /** The answer to come, of `work` or of an earlier delivery. Undefined when nobody waits for it any more. */
  accept(envelope: CallEnvelope, work: () => Answer): Answer | undefined {
    const [run = 0, number = 0] = envelope.id.split('.').slice(-2).map(Number)
    const sender = this.#senderOf(envelope.from, run)
    if (sender === undefined || number < sender.floor) return undefined
    forgetAnswered(sender, envelope.floor ?? 0)
    if (sender.calls.has(number)) return sender.calls.get(number) ?? lost(envelope)
    const answer = work()
    sender.calls.set(number, answer)
    void answer.then(() => sender.answered.push({ number, atMs: performance.now() }))
    return answer
  }

  /** Forgets a run of a node that is over; what it asked for goes on, but nobody is told. The next run may have asked already. */
  forget(node: string, run: number): void {
    const sender = this.#senders.get(node)
    if (sender === undefined || sender.run > run) return
    sender.floor = Number.POSITIVE_INFINITY
    sender.calls.clear()
  }

  #senderOf(node: string, run: number): Sender | undefined {
    const known = this.#senders.get(node)
    // Late words of a run that is over.
    if (known !== undefined && known.run > run) return undefined
    if (known !== undefined && known.run === run) return known
    const sender: Sender = { run, floor: 0, calls: new Map(), answered: [] }
    this.#senders.set(node, sender)
    return sender
  }
}

function forgetAnswered(sender: Sender, floor: number): void {
  const before = performance.now() - KEEP_ANSWERS_MS
  for (let first = sender.answered[0]; first !== undefined; first = sender.answered[0]) {
    if (first.number >= floor && first.atMs > before) break
    sender.answered.shift()
    if (sender.calls.has(first.number)) sender.calls.set(first.number, undefined)
  }
  if (floor <= sender.floor) return
  sender.floor = floor
  // Calls are remembered in the order of their arrival, which is nearly that of their numbers.
  for (const number of sender.calls.keys()) if (number < floor) sender.calls.delete(number)
}

async function lost({ id, message }: CallEnvelope): Answer {
  const details = `${message} was done, but its answer was given more than ${KEEP_ANSWERS_MS / 1000} s ago and is not kept; look at the resource`
  return { kind: 'reply', id, from: '', error: toErrorBody(new CloudError(clusterErrors.nodeGone, details)) }
}
