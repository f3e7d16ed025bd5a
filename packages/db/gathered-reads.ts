import { CloudError } from '#kernel'
import type { Session } from './database.ts'
import { type Query, ReadBatch } from './read-batch.ts'
import { shapeOf } from './statement-shape.ts'

// While so many packets are on their way, what is asked gathers for the next: few who ask lose no time, and many share packets.
const MAX_PACKETS = 2

/** Sends queries to a server and answers them. Throws when one fails; those that were answered by then stay answered. */
type Send = (queries: readonly Query[]) => Promise<void>

/**
 * The reads outside of units. What takes no time goes together, a few packets at a time; each of the others goes at once and by
 * itself, as nobody should wait for it.
 */
export class GatheredReads {
  readonly #send: Send
  readonly #quick: ReadBatch
  readonly #others: ReadBatch
  /** Packets of quick ones that are on their way, and all that are. */
  #packets = 0
  #underWay = 0

  constructor(send: Send) {
    this.#send = send
    this.#quick = new ReadBatch(() => void setImmediate(() => this.#sendQuick()))
    this.#others = new ReadBatch(() => void setImmediate(() => this.#sendOthers()))
  }

  /** Whether answers are on their way to somebody. */
  get isAsked(): boolean {
    return this.#underWay > 0
  }

  readonly session: Pick<Session, 'all' | 'rows'> = {
    all: (sql, params) => this.#others.session.all(sql, params),
    rows: (sql, params) => {
      const shape = shapeOf(sql)
      const batch = shape?.kind === 'select' && shape.isQuick ? this.#quick : this.#others
      return batch.session.rows(sql, params)
    },
  }

  #sendOthers(): void {
    for (const query of this.#others.take()) void this.#askAlone(query)
  }

  #sendQuick(): void {
    if (this.#packets >= MAX_PACKETS || this.#quick.isEmpty) return
    this.#packets += 1
    void this.#askTogether(this.#quick.take()).finally(() => {
      this.#packets -= 1
      this.#sendQuick()
    })
  }

  async #askTogether(queries: readonly Query[]): Promise<void> {
    this.#underWay += 1
    try {
      await this.#send(queries)
    } catch (error) {
      // No server answers: asking for each would only take longer.
      if (error instanceof CloudError || queries.length === 1) for (const query of queries) query.fail(error)
      // Who is to blame is told when each is asked by itself.
      else await Promise.all(queries.map((query) => this.#askAlone(query)))
    } finally {
      this.#underWay -= 1
    }
  }

  async #askAlone(query: Query): Promise<void> {
    this.#underWay += 1
    try {
      await this.#send([query])
    } catch (error) {
      query.fail(error)
    } finally {
      this.#underWay -= 1
    }
  }
}
