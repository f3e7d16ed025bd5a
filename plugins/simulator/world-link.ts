import type { Disposable } from '#kernel'
import { lost, type Path } from './agent-channel.ts'

/** As long as it takes to notice that nothing is heard any more; real agents send a sign of life every 3 s. */
const SILENCE_MS = 3_000

interface Held {
  readonly address: string
  readonly arrive: () => void
  readonly drop: () => void
}

/**
 * The network between one management node and the simulated agents. While it is cut nothing passes: callers get an error after a
 * while, and do not know what became of the call. What was sent meanwhile may still arrive when the cut is healed.
 */
export class WorldLink implements Path {
  /** Undefined when the node is cut off from everybody. */
  #cut: ReadonlySet<string> | undefined = new Set()
  #latencyMs = 0
  #held: Held[] = []
  readonly #followers = new Set<(address: string | undefined) => void>()
  readonly #silenceMs: number

  constructor(silenceMs = SILENCE_MS) {
    this.#silenceMs = silenceMs
  }

  isOpen(address: string): boolean {
    return this.#cut !== undefined && !this.#cut.has(address)
  }

  /** Cuts the node off from some agents, or from all. */
  cut(addresses?: readonly string[]): void {
    this.#cut = addresses === undefined ? undefined : new Set(addresses)
    const tell = () => {
      for (const follower of this.#followers)
        for (const address of addresses ?? [undefined]) follower(address)
    }
    setTimeout(tell, this.#silenceMs).unref()
  }

  /** `arrives` decides for each call that was sent meanwhile whether it still arrives, in the order they were sent. */
  heal(arrives: () => boolean): void {
    this.#cut = new Set()
    for (const held of this.#held.splice(0)) {
      if (arrives()) held.arrive()
      else held.drop()
    }
  }

  /** Every call takes so much longer from now on. */
  set latencyMs(ms: number) {
    this.#latencyMs = ms
  }

  pass: Path['pass'] = ({ address, mayArriveLate }, serve, answer) => {
    let isAnswered = false
    const answerOnce: typeof answer = (response) => {
      if (isAnswered) return
      isAnswered = true
      answer(response)
    }
    const drop = () => answerOnce({ error: lost(`nothing was heard of the agent at ${address}`) })
    const giveUp = () => void setTimeout(drop, this.#silenceMs).unref()
    const arrive = () =>
      void serve().then((response) => {
        if (this.isOpen(address)) answerOnce(response)
        else giveUp()
      })
    const send = () => {
      if (this.isOpen(address)) return arrive()
      if (mayArriveLate) this.#held.push({ address, arrive, drop })
      giveUp()
    }
    if (this.#latencyMs === 0) send()
    else setTimeout(send, this.#latencyMs)
  }

  onBreak(tell: (address: string | undefined) => void): Disposable {
    this.#followers.add(tell)
    return { dispose: () => void this.#followers.delete(tell) }
  }
}
