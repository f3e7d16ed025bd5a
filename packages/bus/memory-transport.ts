import type { Envelope, Transport } from './transport.ts'

/** Nodes of one process that talk through memory. Tests bend it to lose, repeat and delay. */
export interface MemoryHub {
  transport(node: string): Transport
  /** Decides what becomes of an envelope: how often it is delivered and after which other turns of the event loop. */
  bend(fate: ((to: string, envelope: Envelope) => Fate) | undefined): void
  /** From now on nothing reaches the node or leaves it, until `heal`. */
  cut(node: string): void
  heal(node: string): void
}

export interface Fate {
  /** 0 loses it. */
  readonly copies: number
  /** Turns of the event loop until it is delivered: more than its successors take puts it behind them. */
  readonly turns: number
}

type Receive = (envelope: Envelope) => Promise<void>

export function createMemoryHub(): MemoryHub {
  const receivers = new Map<string, Receive>()
  const isCut = new Set<string>()
  let fateOf: ((to: string, envelope: Envelope) => Fate) | undefined
  const deliver = async (to: string, text: string, turns: number) => {
    for (let i = 0; i < turns; i += 1) await new Promise((resolve) => setImmediate(resolve))
    // As on a wire: what arrives is a copy, or not JSON.
    if (!isCut.has(to)) await receivers.get(to)?.(JSON.parse(text) as Envelope)
  }
  const send = (from: string, to: string, envelope: Envelope) => {
    if (isCut.has(from)) return
    const { copies, turns } = fateOf?.(to, envelope) ?? { copies: 1, turns: 1 }
    for (let i = 0; i < copies; i += 1) void deliver(to, JSON.stringify(envelope), turns + i)
  }
  return {
    transport: (node) => ({
      open: async (receive) => void receivers.set(node, receive),
      send: async (to, envelope) => send(node, to, envelope),
      broadcast: async (envelope) => {
        for (const to of receivers.keys()) send(node, to, envelope)
      },
      dispose: () => void receivers.delete(node),
    }),
    bend: (fate) => {
      fateOf = fate
    },
    cut: (node) => void isCut.add(node),
    heal: (node) => void isCut.delete(node),
  }
}
