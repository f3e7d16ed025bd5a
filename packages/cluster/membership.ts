import { createRing, type Ring } from '#bus'
import { type Database, find, findOne, insert, plus, remove, type Tx, update } from '#db'
import { CloudError, clusterErrors, describeError, type Logger } from '#kernel'
import { clusterRecord, memberRecord, takeTurn } from './records.ts'

export interface Member {
  readonly uuid: string
  readonly incarnation: number
  readonly hostName: string
  readonly state: string
}

/** What a node knows of the cluster at one epoch. */
export interface View {
  readonly epoch: number
  readonly members: readonly Member[]
  /** Those that are not leaving; this node when all are. */
  readonly ring: Ring
}

export interface MembershipOptions {
  readonly db: Database
  readonly node: { readonly uuid: string; readonly address: string }
  readonly log: Logger
  /** True when no other node may use the database: rows of others are of the past. */
  readonly isAlone: boolean
  readonly intervalMs?: number
  /** Calls for each new view, in order; the next waits for the end of the one before. */
  readonly onView: (view: View) => void
  /** This run was declared dead; it must end. */
  readonly onFenced: (reason: string) => void
}

type MemberRow = Member & { readonly beats: number }

interface Seen {
  readonly incarnation: number
  readonly beats: number
  /** How many beats of our own it has not moved for. */
  readonly still: number
}

export const memberState = { running: 'Running', leaving: 'Leaving' } as const

const INTERVAL_MS = 1_500
// A member is dead when it has not moved for so many beats of the one that looks. No clock is compared with another, and a
// time in which nobody could write (the database was away) counts for nobody.
const DEAD_AFTER_BEATS = 4
const only = { id: 1 } as const

/** Knows who is in the cluster, and says when that changes. */
export class Membership {
  readonly #options: MembershipOptions
  readonly #seen = new Map<string, Seen>()
  #view: View
  /** As they were at the last beat. */
  #rows: readonly MemberRow[] = []
  #incarnation = 0
  #timer: NodeJS.Timeout | undefined
  #beating: Promise<void> | undefined
  #renewedAtMs = performance.now()
  #hasEnded = false

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#view = { epoch: 0, members: [], ring: createRing([options.node.uuid]) }
  }

  get view(): View {
    return this.#view
  }

  get incarnation(): number {
    return this.#incarnation
  }

  /** How long ago the node last proved to be a member. */
  get silentForMs(): number {
    return performance.now() - this.#renewedAtMs
  }

  isAlive(uuid: string, incarnation: number): boolean {
    return this.#view.members.some((m) => m.uuid === uuid && m.incarnation === incarnation)
  }

  /** Makes this run a member. Earlier runs of the node end with it. */
  async join(): Promise<void> {
    const { db, node, isAlone } = this.#options
    const { uuid } = node
    this.#incarnation = await db.write(async (tx) => {
      if ((await findOne(tx, clusterRecord, only)) === undefined)
        await insert(tx, clusterRecord, { ...only, epoch: 0, turn: 0 })
      const epoch = await raiseEpoch(tx)
      for (const other of await find(tx, memberRecord, {}))
        if (isAlone || other.uuid === uuid) await remove(tx, memberRecord, { uuid: other.uuid })
      const row = { uuid, incarnation: epoch, hostName: node.address, state: memberState.running }
      await insert(tx, memberRecord, { ...row, beats: 0, heartBeat: Date.now() })
      return epoch
    })
    const params = [uuid, this.#incarnation]
    if (!isAlone) db.guardWrites({ sql: takeTurn, params, refusal: () => this.#fence() })
    await this.refresh()
    if (!isAlone) this.#arm()
  }

  /** Looks who is in the cluster now, and says that this node is. */
  refresh(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined
    })
    return this.#beating
  }

  /** No new work comes to this node from now on. */
  async announceLeave(): Promise<void> {
    await this.#options.db.write(async (tx) => {
      await update(tx, memberRecord, this.#mine(), { state: memberState.leaving })
      await raiseEpoch(tx)
    })
    await this.refresh()
  }

  /** Ends the membership; nothing is written by this run any more. */
  async leave(): Promise<void> {
    this.stop()
    await this.#beating
    await this.#options.db.write(async (tx) => {
      await raiseEpoch(tx)
      await remove(tx, memberRecord, this.#mine())
    })
  }

  stop(): void {
    this.#hasEnded = true
    clearTimeout(this.#timer)
  }

  #mine() {
    return { uuid: this.#options.node.uuid, incarnation: this.#incarnation }
  }

  #arm(): void {
    if (this.#hasEnded) return
    this.#timer = setTimeout(() => {
      this.#tick()
        .catch((error) => this.#options.log.warn({ err: describeError(error) }, 'a heartbeat failed'))
        .finally(() => this.#arm())
    }, this.#options.intervalMs ?? INTERVAL_MS)
    this.#timer.unref()
  }

  /** A beat of the clock: only these tell how long others have not moved. */
  async #tick(): Promise<void> {
    await this.#beating
    const dead = this.#rows.filter((row) => this.#isDead(row))
    for (const row of dead) await this.#declareDead(row)
    await this.refresh()
  }

  async #beat(): Promise<void> {
    const found = await this.#options.db.write(async (tx) => {
      await update(tx, memberRecord, this.#mine(), { beats: plus(1), heartBeat: Date.now() })
      return { epoch: await epochOf(tx), rows: await find(tx, memberRecord, {}, { orderBy: ['uuid'] }) }
    })
    this.#renewedAtMs = performance.now()
    this.#rows = found.rows
    this.#apply(found.epoch, found.rows)
  }

  #isDead({ uuid, incarnation, beats }: MemberRow): boolean {
    if (uuid === this.#options.node.uuid) return false
    const seen = this.#seen.get(uuid)
    const isSame = seen !== undefined && seen.incarnation === incarnation && seen.beats === beats
    const still = isSame ? seen.still + 1 : 0
    this.#seen.set(uuid, { incarnation, beats, still })
    return still >= DEAD_AFTER_BEATS
  }

  async #declareDead({ uuid, incarnation, beats }: MemberRow): Promise<void> {
    const removed = await this.#options.db.write(async (tx) => {
      // It may have moved, or been declared dead by another, since.
      if ((await remove(tx, memberRecord, { uuid, incarnation, beats })) === 0) return false
      await raiseEpoch(tx)
      return true
    })
    if (removed) this.#options.log.warn({ node: uuid, incarnation }, 'a management node was declared dead')
  }

  #apply(epoch: number, rows: readonly Member[]): void {
    if (epoch <= this.#view.epoch) return
    const running = rows.filter((row) => row.state === memberState.running).map((row) => row.uuid)
    const ring = createRing(running.length > 0 ? running : [this.#options.node.uuid])
    const members = rows.map(({ uuid, incarnation, hostName, state }) => ({
      uuid,
      incarnation,
      hostName,
      state,
    }))
    for (const uuid of this.#seen.keys()) if (!members.some((m) => m.uuid === uuid)) this.#seen.delete(uuid)
    this.#view = { epoch, members, ring }
    this.#options.onView(this.#view)
  }

  #fence(): CloudError {
    const reason =
      'this management node was declared dead, because it had been silent; it ends and has to be started anew'
    if (!this.#hasEnded) {
      this.stop()
      this.#options.onFenced(reason)
    }
    return new CloudError(clusterErrors.fenced, reason)
  }
}

async function epochOf(tx: Tx): Promise<number> {
  return (await findOne(tx, clusterRecord, only))?.epoch ?? 0
}

async function raiseEpoch(tx: Tx): Promise<number> {
  await update(tx, clusterRecord, only, { epoch: plus(1) })
  return epochOf(tx)
}
