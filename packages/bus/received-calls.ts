import { CloudError, clusterErrors, toErrorBody } from '#kernel'
import type { CallEnvelope, OverEnvelope, ReplyEnvelope } from './transport.ts'
import type { Turn } from './turn.ts'

type Answer = Promise<ReplyEnvelope>

interface Received {
  /** Undefined when it was answered too long ago for the answer to be kept. */
  answer: Answer | undefined
  /** Undefined when it is answered. */
  turn: Turn | undefined
}

/** What one run of a sender asked for. */
interface Sender {
  readonly run: number
  /** Numbers below it were answered and read: nothing of them is remembered. */
  floor: number
  readonly calls: Map<number, Received>
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
  accept(envelope: CallEnvelope, turn: Turn, work: () => Answer): Answer | undefined {
    const [run, number] = runAndNumber(envelope.id)
    const sender = this.#senderOf(envelope.from, run)
    if (sender === undefined || number < sender.floor) return undefined
    forgetAnswered(sender, envelope.floor ?? 0)
    const known = sender.calls.get(number)
    if (known !== undefined) return known.answer ?? lost(envelope)
    const answer = work()
    const call: Received = { answer, turn }
    sender.calls.set(number, call)
    void answer.then(() => {
      call.turn = undefined
      sender.answered.push({ number, atMs: performance.now() })
    })
    return answer
  }

  /**
   * Its caller gives it up: what has not begun never will. Returns the answer when there is one, else whether it has begun; undefined
   * when nothing can be said because another node has it, which will say so itself.
   */
  giveUp(over: OverEnvelope, self: string): Answer | undefined {
    const [run, number] = runAndNumber(over.id)
    const sender = this.#senderOf(over.from, run)
    if (sender === undefined || number < sender.floor) return undefined
    const reply = async (late: 'begun' | 'not begun'): Answer => ({
      kind: 'reply',
      id: over.id,
      from: self,
      late,
    })
    const known = sender.calls.get(number)
    if (known === undefined) {
      // It may still be on its way.
      const answer = reply('not begun')
      sender.calls.set(number, { answer, turn: undefined })
      return answer
    }
    if (known.turn === undefined) return known.answer
    const { state } = known.turn
    known.turn.giveUp()
    if (state === 'passed on') return undefined
    return reply(state === 'begun' ? 'begun' : 'not begun')
  }

  /** Forgets a run of a node that is over; what it asked for goes on, but nobody is told. The next run may have asked already. */
  forget(node: string, run: number): void {
    const sender = this.#senders.get(node)
    if (sender === undefined || sender.run > run) return
    sender.floor = Number.POSITIVE_INFINITY
    sender.calls.clear()
  }

  get figures(): { readonly begun: number; readonly waiting: number } {
    let begun = 0
    let waiting = 0
    for (const { calls } of this.#senders.values())
      for (const { turn } of calls.values()) {
        if (turn?.state === 'begun') begun += 1
        else if (turn !== undefined) waiting += 1
      }
    return { begun, waiting }
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

function runAndNumber(id: string): [run: number, number: number] {
  const [run = 0, number = 0] = id.split('.').slice(-2).map(Number)
  return [run, number]
}

function forgetAnswered(sender: Sender, floor: number): void {
  const before = performance.now() - KEEP_ANSWERS_MS
  for (let first = sender.answered[0]; first !== undefined; first = sender.answered[0]) {
    if (first.number >= floor && first.atMs > before) break
    sender.answered.shift()
    const call = sender.calls.get(first.number)
    if (call !== undefined) call.answer = undefined
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
