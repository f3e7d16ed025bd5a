import type { Duplex } from 'node:stream'

/** Joins two streams: what one reads the other writes. An end of one side ends that direction, a failure ends both. */
export function joinStreams(a: Duplex, b: Duplex): void {
  forward(a, b)
  forward(b, a)
}

function forward(from: Duplex, to: Duplex): void {
  from.pipe(to)
  // A failure of one side is the end of the other; whoever owns the other side sees it closed.
  from.on('error', () => to.destroy())
  from.on('close', () => {
    if (!from.readableEnded) to.destroy()
  })
}
