import { createHash } from 'node:crypto'

/**
 * The consistent-hash ring: the owner of a key is a pure function of the member list and the key. Each member stands at
 * many points, so that ownership spreads evenly and a member that leaves hands over to all the others.
 */
export interface Ring {
  readonly members: readonly string[]
  ownerOf(key: string): string
}

const POINTS_PER_MEMBER = 128

export function createRing(members: readonly string[]): Ring {
  if (members.length === 0) throw new Error('a ring needs at least one member')
  const points = members
    .flatMap((member) =>
      Array.from({ length: POINTS_PER_MEMBER }, (_, i) => ({ at: hash(`${member}#${i}`), member })),
    )
    // Two members may share a point; every node must settle that alike, in whatever order it learnt of them.
    .sort((a, b) => a.at - b.at || (a.member < b.member ? -1 : 1))
  const first = members[0] as string
  return {
    members,
    ownerOf: (key) => {
      if (members.length === 1) return first
      return (points[lowerBound(points, hash(key))] ?? points[0])?.member ?? first
    },
  }
}

function lowerBound(points: readonly { readonly at: number }[], value: number): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((points[middle]?.at ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

function hash(text: string): number {
  return createHash('md5').update(text).digest().readUInt32BE(0)
}
