import { join } from 'node:path'
import { openSqlite } from '#db'
import { createQueryEngine, createRegistry } from '#query'
import { allPlugins } from '#server/plugins.ts'
import { someVmUuids } from './big-cloud.ts'
import { questionsAbout } from './query-questions.ts'
import { quantile } from './statistics.ts'

export interface QueryTiming {
  readonly name: string
  readonly asked: number
  /** Rows or the count of the last answer: a question that finds nothing measures nothing. */
  readonly found: number
  /** Of the first time each was asked. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the best of three times: what the answer costs, without what else the machine did meanwhile. */
  readonly bestP50Ms: number
  readonly bestP99Ms: number
  readonly aimMs: number
}

const REPEATS = 3

/** Asks every kind of question of the cloud in `dir`, one at a time, after a tenth as many that do not count. */
export async function timeQueries(
  dir: string,
  size: { vms: number; hosts: number },
  rounds: number,
  only?: string,
): Promise<QueryTiming[]> {
  const db = openSqlite(join(dir, 'zstack.db'))
  try {
    const engine = createQueryEngine(db, createRegistry(allPlugins().flatMap((plugin) => plugin.resources)))
    const timings: QueryTiming[] = []
    const vmUuids = someVmUuids(size, rounds)
    for (const question of questionsAbout({ ...size, vmUuids })) {
      if (only !== undefined && !question.name.includes(only)) continue
      const asked = Math.max(5, Math.round(rounds * question.share))
      const first: number[] = []
      const best: number[] = []
      let found = 0
      for (let k = -Math.ceil(asked / 10); k < asked; k += 1) {
        const times: number[] = []
        for (let i = 0; i < REPEATS; i += 1) {
          const begun = performance.now()
          const reply = await engine.query(question.resource, question.ask(Math.abs(k)))
          times.push(performance.now() - begun)
          found = reply.total ?? reply.inventories?.length ?? 0
          // Each question begins a turn of its own, as calls do: nothing is remembered from the one before.
          await new Promise((resolve) => setImmediate(resolve))
        }
        if (k < 0) continue
        first.push(times[0] ?? 0)
        best.push(Math.min(...times))
      }
      const { name, aimMs } = question
      const of = (times: number[]) => ({ p50: quantile(times, 0.5), p99: quantile(times, 0.99) })
      const [f, c] = [of(first), of(best)]
      timings.push({
        name,
        aimMs,
        asked,
        found,
        p50Ms: f.p50,
        p99Ms: f.p99,
        bestP50Ms: c.p50,
        bestP99Ms: c.p99,
      })
    }
    return timings
  } finally {
    await db.close()
  }
}
