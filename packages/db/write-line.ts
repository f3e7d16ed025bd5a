import type { CloudError } from '#kernel'
import { isInsideUnit, nestedWrite } from './current-unit.ts'
import type { Tx } from './database.ts'
import { WriteStats } from './stats.ts'
import { databaseClosed } from './storage-errors.ts'

/** One write that waits for a commit group, or is in one. */
export interface Unit {
  readonly work: (tx: Tx) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * Runs and commits the units that wait, and tells each how it ended. `take` gives them, the same ones whenever it is asked again:
 * whoever comes before it is first asked gets into the group. When it throws, all of them failed with what it throws.
 */
export type CommitGroup = (take: () => readonly Unit[]) => Promise<void>

/** The writes of this process, in the order in which they were asked for; one commit group at a time. */
export class WriteLine {
  readonly stats = new WriteStats()
  readonly #mostUnits: number
  readonly #commitGroup: CommitGroup
  #waiting: Unit[] = []
  #draining: Promise<void> | undefined
  #refusal: CloudError | undefined

  /** `mostUnits` in a group bound how long its first one waits for its last. */
  constructor(mostUnits: number, commitGroup: CommitGroup) {
    this.#mostUnits = mostUnits
    this.#commitGroup = commitGroup
  }

  get waiting(): number {
    return this.#waiting.length
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (isInsideUnit()) return Promise.reject(nestedWrite())
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    this.stats.asked += 1
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.#draining ??= this.#drain()
    })
  }

  /** Refuses new writes from now on, with the first reason given. */
  refuse(reason: CloudError): void {
    this.#refusal ??= reason
  }

  /** Refuses new writes and waits until those under way have ended. */
  async close(): Promise<void> {
    this.refuse(databaseClosed())
    await this.#draining
  }

  async #drain(): Promise<void> {
    // Everything that arrives in this turn of the event loop goes into the first group.
    await nextTurn()
    while (this.#waiting.length > 0) {
      const beganAtMs = performance.now()
      let units: readonly Unit[] | undefined
      const take = () => {
        units ??= this.#waiting.splice(0, this.#mostUnits)
        return units
      }
      try {
        await this.#commitGroup(take)
      } catch (error) {
        for (const unit of take()) unit.reject(error)
      }
      this.stats.groupEnded(take().length, performance.now() - beganAtMs)
      // Lets callers that were just answered bring their next write into the next group.
      await nextTurn()
    }
    this.#draining = undefined
  }
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
