import { randomUUID } from 'node:crypto'
import type { PoolConnection } from 'mysql2/promise'
import { say, sayAll, sessionOn } from './mariadb-session.ts'

const TABLE = '`CommitMark`'
// Marks of processes that ended are swept by later ones.
// What a server says of a row that somebody else changed: it makes the transaction run again.
const ROW_CHANGED = 1020
const KEPT_MS = 7 * 24 * 3_600_000

/**
 * Tells whether a transaction was committed of which the answer was lost: each writes its number into a row of its process, so
 * that the row tells the last that was. Whoever asks changes the row too, and once that is committed the lost one never will be:
 * a server has its row lock, a cluster refuses whichever comes second.
 */
export class CommitMarks {
  readonly #owner = randomUUID().replaceAll('-', '')
  #number = 0
  #isRegistered = false

  /** Makes the row of this process, once. */
  async register(connection: PoolConnection): Promise<void> {
    if (this.#isRegistered) return
    await say(
      connection,
      `CREATE TABLE IF NOT EXISTS ${TABLE} (\`owner\` VARCHAR(64) PRIMARY KEY, \`number\` BIGINT NOT NULL, \`since\` BIGINT NOT NULL) ENGINE=InnoDB`,
    )
    await sayAll(connection, [
      `DELETE FROM ${TABLE} WHERE \`since\` < ${Date.now() - KEPT_MS}`,
      `INSERT IGNORE INTO ${TABLE} VALUES ('${this.#owner}', 0, ${Date.now()})`,
      'COMMIT',
    ])
    this.#isRegistered = true
  }

  /** The number of a new transaction. */
  next(): number {
    this.#number += 1
    return this.#number
  }

  /** What the transaction of this number does first. It changes one row, or the row is gone and has to be made again. */
  statement(number: number): string {
    return `UPDATE ${TABLE} SET \`number\` = ${number}, \`since\` = ${Date.now()} WHERE \`owner\` = '${this.#owner}'`
  }

  /** Selects the number: that of the transaction it is asked in, unless that was lost. */
  get question(): string {
    return `SELECT \`number\` FROM ${TABLE} WHERE \`owner\` = '${this.#owner}'`
  }

  /** The row is made again by the next try. */
  swept(): Error {
    this.#isRegistered = false
    return Object.assign(new Error('the mark of this process was swept while it slept'), {
      errno: ROW_CHANGED,
    })
  }

  /** True when the transaction was committed; after false it never will be. Throws when it cannot be told now. */
  async wasCommitted(connection: PoolConnection, number: number): Promise<boolean> {
    const select = `SELECT \`number\` FROM ${TABLE} WHERE \`owner\` = ? FOR UPDATE`
    try {
      await say(connection, 'BEGIN')
      const [row] = await sessionOn(connection).all(select, [this.#owner])
      if (row === undefined) throw new Error('the mark of this process is gone')
      if (Number(row.number) === number) {
        await say(connection, 'ROLLBACK')
        return true
      }
      // One by one: a cluster that gives a transaction up between two statements of a packet does not say so.
      await say(connection, this.statement(this.next()))
      await say(connection, 'COMMIT')
      return false
    } catch (error) {
      // When it cannot be rolled back the connection is broken, and the server does it.
      await say(connection, 'ROLLBACK').catch(() => undefined)
      throw error
    }
  }
}
