import { parseArgs } from 'node:util'
import { describeConditions } from './conditions.ts'
import { benchDirectory, runInChild } from './run-in-child.ts'
import { median } from './statistics.ts'
import { formatTable } from './table.ts'
import type { Creation, CreationResult } from './vm-creation.ts'

const usage = `usage: ./zstack bench create-vm [--count N,...] [--concurrency N|all,...] [--rounds N] [--dir DIR] [--db mariadb] [--json]

Creates VMs on simulated hosts through the API, each time in a fresh cloud in a fresh process; with the durable journal and
without a journal in turn, so that what the journal costs is a ratio of one run.

  --count        how many VMs (1,10,100,1000,10000)
  --concurrency  calls in flight at the same time; all: every call at once (100,all)
  --rounds       repeats of each; the median round is shown (3)
  --dir          where the databases lie: a directory on a real disk (.zstack/bench of this repository)
  --db           sqlite (the one embedded), or mariadb: a private server that waits for the disk at each commit
  --json         one JSON object instead of the table
`

interface Row {
  readonly count: number
  readonly concurrency: number
  readonly durable: CreationResult
  readonly none: CreationResult
  /** What the journal adds, as a share: of each round's pair, the median. */
  readonly costOfTime: number
  readonly costOfCpu: number
}

export const createVm = {
  summary: 'VM creations per second on simulators, and what the journal costs',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        count: { type: 'string', default: '1,10,100,1000,10000' },
        concurrency: { type: 'string', default: '100,all' },
        rounds: { type: 'string', default: '3' },
        dir: { type: 'string' },
        db: { type: 'string', default: 'sqlite' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const { db } = values
    if (db !== 'sqlite' && db !== 'mariadb') throw new Error(`--db is sqlite or mariadb, not '${db}'`)
    const rounds = positive('rounds', values.rounds)
    const rows: Row[] = []
    for (const count of values.count.split(',').map((text) => positive('count', text))) {
      for (const concurrency of concurrencies(values.concurrency, count))
        rows.push(await measure({ dir, db, count, concurrency, rounds }))
    }
    const conditions = { ...(await describeConditions(dir)), database: db, rounds }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'create-vm', conditions, rows })}\n`)
    else process.stdout.write(present(conditions, rows))
  },
}

/** Different numbers of calls in flight for `count` calls; more than `count` is all. */
function concurrencies(text: string, count: number): number[] {
  const asked = text.split(',').map((one) => (one === 'all' ? count : positive('concurrency', one)))
  return [...new Set(asked.map((one) => Math.min(one, count)))]
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`--${name} takes positive whole numbers, got '${text}'`)
}

interface Measurement {
  readonly dir: string
  readonly db: 'sqlite' | 'mariadb'
  readonly count: number
  readonly concurrency: number
  readonly rounds: number
}

async function measure({ dir, db, count, concurrency, rounds }: Measurement): Promise<Row> {
  const results = { durable: [] as CreationResult[], none: [] as CreationResult[] }
  for (let round = 0; round < rounds; round += 1) {
    // Taking turns, and who goes first too: what else the machine does hits both alike.
    const order = round % 2 === 0 ? (['durable', 'none'] as const) : (['none', 'durable'] as const)
    for (const journal of order) {
      const creation: Creation = { marks: [count], concurrency, journal }
      const [result] = await runInChild(dir, creation, db)
      if (result === undefined) throw new Error('the measuring process told no result')
      results[journal].push(result)
      const told = `${result.seconds.toFixed(2)} s, ${result.perSecond.toFixed(0)}/s`
      process.stderr.write(`${count} VMs, ${concurrency} at a time, journal ${journal}: ${told}\n`)
    }
  }
  const { durable, none } = results
  // The two of a round ran one after the other, so what the machine did meanwhile is much the same for both.
  const cost = (of: (result: CreationResult) => number) =>
    median(durable.map((result, i) => of(result) / of(none[i] ?? result) - 1))
  const costs = { costOfTime: cost((r) => r.seconds), costOfCpu: cost((r) => r.cpuSeconds) }
  return { count, concurrency, durable: typical(durable), none: typical(none), ...costs }
}

function typical(results: readonly CreationResult[]): CreationResult {
  const seconds = median(results.map((result) => result.seconds))
  return results.find((result) => result.seconds === seconds) as CreationResult
}

function present(conditions: Readonly<Record<string, unknown>>, rows: readonly Row[]): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const lines = rows.flatMap((row) => [line(row, 'durable'), line(row, 'none')])
  const titles = [
    'VMs',
    'at a time',
    'journal',
    's',
    'VMs/s',
    'p50 ms',
    'p99 ms',
    'CPU ms/VM',
    'RSS MB',
    'cost',
    'CPU cost',
  ]
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\ncost: what the durable journal adds to the time, and to the CPU time, without a journal.\n`
}

function line(row: Row, journal: 'durable' | 'none'): string[] {
  const result = row[journal]
  const percent = (share: number) => (journal === 'none' ? '' : `${(share * 100).toFixed(0)} %`)
  return [
    String(row.count),
    String(row.concurrency),
    journal,
    result.seconds.toFixed(3),
    result.perSecond.toFixed(0),
    result.p50Ms.toFixed(1),
    result.p99Ms.toFixed(1),
    ((result.cpuSeconds * 1000) / row.count).toFixed(2),
    result.rssMb.toFixed(0),
    percent(row.costOfTime),
    percent(row.costOfCpu),
  ]
}
