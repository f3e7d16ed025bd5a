import type { Ring } from './ring.ts'

const SAMPLES = 2_000

const known = new WeakMap<Ring, ReadonlyMap<string, number>>()

/** Part of all keys `member` owns, percent; measured on a sample, once for each ring. */
export function ringShare(ring: Ring, member: string): number {
  if (ring.members.length === 1) return ring.members[0] === member ? 100 : 0
  let shares = known.get(ring)
  if (shares === undefined) {
    const owned = new Map<string, number>()
    for (let i = 0; i < SAMPLES; i += 1) {
      const owner = ring.ownerOf(`sample:${i}`)
      owned.set(owner, (owned.get(owner) ?? 0) + 1)
    }
    shares = owned
    known.set(ring, shares)
  }
  return Math.round(((shares.get(member) ?? 0) / SAMPLES) * 100)
}
