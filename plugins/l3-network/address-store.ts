import { findOne, type Session, type Tx } from '#db'
import { type IpRange, usedIp } from './contract/resources.ts'

/**
 * What the memory knows about a range, to save looking: addresses below `frontier` were handed out or are in `released`.
 * It is only a hint: every address is checked in the database, and a range that seems full is swept again before it counts as full.
 */
interface RangeHint {
  frontier: number
  readonly released: Set<number>
}

/**
 * Finds free addresses. The frontier sweeps a range once; after that, released addresses are handed out oldest first, so that
 * an address rests before it is used again and each search costs a few index look-ups, however full the range is.
 */
export class AddressFinder {
  readonly #hints = new Map<string, RangeHint>()

  /** A free address of the first range that has one, or undefined when all are full. */
  async find(tx: Tx, ranges: readonly IpRange[]): Promise<{ range: IpRange; ip: number } | undefined> {
    for (const range of ranges) {
      const ip = (await this.#sweep(tx, range)) ?? (await this.#reuse(tx, range))
      if (ip !== undefined) return { range, ip }
    }
    for (const range of ranges) {
      if ((await countUsed(tx, range.uuid)) > range.endLong - range.startLong) continue
      this.#hints.delete(range.uuid)
      const ip = await this.#sweep(tx, range)
      if (ip !== undefined) return { range, ip }
    }
    return undefined
  }

  /** Remembers that an address was given back. Call it after the commit. */
  released(rangeUuid: string, ip: number): void {
    const hint = this.#hints.get(rangeUuid)
    if (hint !== undefined && ip < hint.frontier) hint.released.add(ip)
  }

  forget(rangeUuid: string): void {
    this.#hints.delete(rangeUuid)
  }

  async #sweep(tx: Tx, range: IpRange): Promise<number | undefined> {
    const hint = this.#hintOf(range)
    if (hint.frontier > range.endLong) return undefined
    const from = hint.frontier
    // Whoever looks at the same time looks further on.
    hint.frontier += 1
    const ip = await firstFree(tx, range, from)
    hint.frontier = Math.max(hint.frontier, (ip ?? range.endLong) + 1)
    return ip
  }

  async #reuse(tx: Tx, range: IpRange): Promise<number | undefined> {
    const { released } = this.#hintOf(range)
    for (const ip of released) {
      released.delete(ip)
      if (await isFree(tx, range.l3NetworkUuid, ip)) return ip
    }
    return undefined
  }

  #hintOf(range: IpRange): RangeHint {
    const hint = this.#hints.get(range.uuid) ?? { frontier: range.startLong, released: new Set<number>() }
    this.#hints.set(range.uuid, hint)
    return hint
  }
}

/** True when nobody has the address. */
export async function isFree(db: Session, l3NetworkUuid: string, ip: number): Promise<boolean> {
  return (await findOne(db, usedIp, { l3NetworkUuid, ipInLong: ip })) === undefined
}

/** The first free address of a range at or after `from`: one look-up, and one walk along the index when that is taken. */
async function firstFree(tx: Tx, range: IpRange, from: number): Promise<number | undefined> {
  if (await isFree(tx, range.l3NetworkUuid, from)) return from
  const gap = `SELECT u.ipInLong + 1 AS free FROM UsedIpVO u WHERE u.l3NetworkUuid = ? AND u.ipInLong >= ? AND u.ipInLong < ?
    AND NOT EXISTS (SELECT 1 FROM UsedIpVO n WHERE n.l3NetworkUuid = u.l3NetworkUuid AND n.ipInLong = u.ipInLong + 1)
    ORDER BY u.ipInLong LIMIT 1`
  const rows = await tx.all(gap, [range.l3NetworkUuid, from, range.endLong])
  const free = rows[0]?.free
  return free === undefined ? undefined : Number(free)
}

async function countUsed(db: Session, ipRangeUuid: string): Promise<number> {
  const rows = await db.all('SELECT COUNT(*) AS n FROM UsedIpVO WHERE ipRangeUuid = ?', [ipRangeUuid])
  return Number(rows[0]?.n ?? 0)
}
