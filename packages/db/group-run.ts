import type { PoolConnection } from 'mysql2/promise'
import { ChangedRows } from './changed-rows.ts'
import { currentUnit } from './current-unit.ts'
import type { Session, SqlValue, Tx } from './database.ts'
import { endsTransaction, lostInSilence, translate } from './mariadb-errors.ts'
import { answerAll, say, sayAndAsk, sessionOn } from './mariadb-session.ts'
import { type Query, ReadBatch } from './read-batch.ts'
import { combine } from './sql-text.ts'
import { rowsOf, shapeOf } from './statement-shape.ts'
import { Trial } from './trial.ts'
import { nextTurn, type Unit } from './write-line.ts'

/** How a unit ended inside a transaction that is not committed yet. */
export type Ended = { readonly unit: Unit } & ({ readonly value: unknown } | { readonly error: unknown })

// A unit awaits nothing but the database; some turns of the event loop for those that resolve promises of their own.
const MAX_IDLE_TURNS = 4

/**
 * The units of one group inside an open transaction. All are run ahead at the same time, so that their questions and their
 * changes travel together; then they take effect in their order. One whose questions were overtaken by the changes of an
 * earlier one runs once more, so the end is that of running one after another.
 */
export class GroupRun {
  /** Set as soon as nothing of the transaction can be committed any more. */
  lost: unknown
  readonly #connection: PoolConnection
  readonly #question: string
  readonly #number: number
  /** Something was done since it was last seen that the transaction is still the one that began. */
  #isUnseen = false
  readonly #changed = new ChangedRows()
  readonly #ended = new Map<Unit, Ended>()
  /** Units whose changes wait to be sent. */
  #held: { unit: Unit; trial: Trial }[] = []

  /** `question` and `number`: see CommitMarks. */
  constructor(connection: PoolConnection, question: string, number: number) {
    this.#connection = connection
    this.#question = question
    this.#number = number
  }

  /** Runs the units; throws when the transaction was lost. */
  async run(units: readonly Unit[]): Promise<Ended[]> {
    const trials = await this.#tryAll(units)
    for (const [i, unit] of units.entries()) {
      const trial = trials[i] as Trial
      if (trial.isValid(this.#changed)) this.#hold(unit, trial)
      else await this.#runAgain(unit)
    }
    await this.#send()
    if (this.#isUnseen) this.#see(await sessionOn(this.#connection).rows(this.#question, []))
    return units.map((unit) => this.#ended.get(unit) as Ended)
  }

  async #tryAll(units: readonly Unit[]): Promise<Trial[]> {
    const batch = new ReadBatch(() => undefined)
    const trials = units.map(({ work }) => new Trial(work, batch.session))
    try {
      await this.#answerAll(batch, trials)
    } finally {
      for (const trial of trials) trial.abandon()
    }
    return trials
  }

  async #answerAll(batch: ReadBatch, trials: readonly Trial[]): Promise<void> {
    for (let idle = 0; idle < MAX_IDLE_TURNS && trials.some(({ state }) => state === 'running'); idle += 1) {
      await nextTurn()
      if (batch.isEmpty) continue
      idle = 0
      const queries = batch.take()
      try {
        await this.#send(queries)
      } catch (error) {
        for (const query of queries) query.fail(error)
        this.#lose(error)
      }
    }
  }

  #hold(unit: Unit, trial: Trial): void {
    const end = trial.state as { value: unknown } | { error: unknown }
    if ('error' in end) {
      this.#ended.set(unit, { unit, error: translate(end.error) })
      return
    }
    this.#ended.set(unit, { unit, value: end.value })
    if (trial.changes.length === 0) return
    this.#held.push({ unit, trial })
    for (const { rows } of trial.changes) this.#changed.add(rows)
  }

  /** Runs a unit on what is true now: once more ahead, which takes fewer round trips, and by itself when that does not fit. */
  async #runAgain(unit: Unit): Promise<void> {
    const [trial] = await this.#tryAll([unit])
    if (trial?.isFit === true) return this.#hold(unit, trial)
    await this.#send()
    await this.#runAlone(unit)
  }

  /**
   * Sends what is held, and asks what is asked after it. When it turns out that something of what was held is not right, each of
   * its units runs by itself.
   */
  async #send(queries: readonly Query[] = []): Promise<void> {
    let held = this.#held
    let unanswered = queries
    this.#held = []
    if (held.length === 0) return answerAll(this.#connection, queries)
    const alongside = queries.filter((query) => query.asArrays)
    const statements = combine(held.flatMap(({ trial }) => trial.changes))
    try {
      const texts = ['SAVEPOINT held', ...statements.map(({ text }) => text)]
      const asked = [...alongside, { sql: this.#question, params: [] }]
      const { counts, answers } = await sayAndAsk(this.#connection, texts, asked)
      this.#see(answers.at(-1) as SqlValue[][])
      const isRight = statements.every(({ of }, i) => {
        const expected = of[0]?.expected
        return expected === undefined || counts[i + 1] === expected * of.length
      })
      if (isRight) {
        for (const [i, query] of alongside.entries()) query.answer(answers[i] ?? [])
        unanswered = queries.filter((query) => !query.asArrays)
        held = []
      }
    } catch (error) {
      this.#lose(error)
    }
    if (held.length > 0) await say(this.#connection, 'ROLLBACK TO held')
    for (const { unit } of held) await this.#runAlone(unit)
    await answerAll(this.#connection, unanswered)
  }

  /**
   * A member of a cluster that gives up a transaction in the middle of a packet runs the rest of the packet in a new one, and says
   * nothing. Throws when that has happened.
   */
  #see(rows: readonly SqlValue[][]): void {
    this.#isUnseen = false
    if (Number(rows[0]?.[0]) === this.#number) return
    this.lost ??= lostInSilence()
    throw this.lost
  }

  async #runAlone(unit: Unit): Promise<void> {
    this.#isUnseen = true
    await say(this.#connection, 'SAVEPOINT unit')
    const scope = { open: true }
    try {
      const value = await currentUnit.run(scope, unit.work, this.#txOf(scope))
      this.#ended.set(unit, { unit, value })
    } catch (error) {
      this.#ended.set(unit, { unit, error: translate(error) })
    } finally {
      scope.open = false
    }
    if (this.lost !== undefined) throw this.lost
    if ('error' in (this.#ended.get(unit) as Ended)) await say(this.#connection, 'ROLLBACK TO unit')
  }

  /** What a unit left running when it ended must not write into its neighbours' transaction; nor may one go on in a lost one. */
  #txOf(scope: { readonly open: boolean }): Tx {
    const session = sessionOn(this.#connection)
    const guarded = async <T>(ask: (session: Session) => Promise<T>): Promise<T> => {
      if (!scope.open) throw new Error('this tx is over: its write has ended')
      if (this.lost !== undefined) throw this.lost
      try {
        return await ask(session)
      } catch (error) {
        if (endsTransaction(error)) this.lost ??= error
        throw translate(error)
      }
    }
    const run = (sql: string, params: readonly SqlValue[]) => {
      this.#changed.add(rowsOf(shapeOf(sql), params))
      return guarded((on) => on.run(sql, params))
    }
    return {
      writable: true,
      all: (sql, params) => guarded((on) => on.all(sql, params)),
      rows: (sql, params) => guarded((on) => on.rows(sql, params)),
      run,
      send: async (sql, params) => void (await run(sql, params)),
    }
  }

  /** Throws when the transaction is lost by this error; others are a unit's own. */
  #lose(error: unknown): void {
    if (!endsTransaction(error)) return
    this.lost ??= error
    throw error
  }
}
