import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { describeConditions } from './conditions.ts'
import { benchDirectory, runInChild } from './run-in-child.ts'
import { formatTable } from './table.ts'
import type { CreationResult } from './vm-creation.ts'

const usage = `usage: ./zstack bench databases [--count N,...] [--concurrency N] [--rounds N] [--dir DIR] [--json]

Creates VMs on simulated hosts with SQLite and with a private MariaDB on the same machine in turn, each time in a fresh cloud in a
fresh process, both durable to a power cut, and tells how many times as long MariaDB takes.

  --count        how many VMs (100,1000)
  --concurrency  calls in flight at the same time (100)
  --rounds       repeats of each; the median round is shown (3)
  --dir          where the databases lie: a directory on a real disk (.zstack/bench of this repository)
  --json         one JSON object instead of the table
`

interface Row {
  readonly count: number
  readonly sqlite: CreationResult
  readonly mariadb: CreationResult
  /** MariaDB's time as a multiple of SQLite's: of each round's pair, the median. */
  readonly ratio: number
}

export const databases = {
  summary: 'VM creations on MariaDB against SQLite, as a ratio of one run',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        count: { type: 'string', default: '100,1000' },
        concurrency: { type: 'string', default: '100' },
        rounds: { type: 'string', default: '3' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const [concurrency, rounds] = [
      positive('concurrency', values.concurrency),
      positive('rounds', values.rounds),
    ]
    const rows: Row[] = []
    for (const count of values.count.split(','))
      rows.push(await compare(dir, positive('count', count), concurrency, rounds))
    const mariadb = `${execFileSync('mariadbd', ['--version'], { encoding: 'utf8' }).trim()}, innodb_flush_log_at_trx_commit=1`
    const conditions = { ...(await describeConditions(dir)), mariadb, 'at a time': concurrency, rounds }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'databases', conditions, rows })}\n`)
    else process.stdout.write(present(conditions, rows))
  },
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`--${name} takes positive whole numbers, got '${text}'`)
}

async function compare(dir: string, count: number, concurrency: number, rounds: number): Promise<Row> {
  const pairs: { sqlite: CreationResult; mariadb: CreationResult }[] = []
  for (let round = 0; round < rounds; round += 1) {
    const pair: Partial<Record<'sqlite' | 'mariadb', CreationResult>> = {}
    // Taking turns, and who goes first too: what else the machine does hits both alike.
    for (const db of round % 2 === 0 ? (['sqlite', 'mariadb'] as const) : (['mariadb', 'sqlite'] as const)) {
      const [result] = await runInChild(dir, { marks: [count], concurrency, journal: 'durable' }, db)
      if (result === undefined) throw new Error('the measuring process told no result')
      pair[db] = result
      process.stderr.write(`${count} VMs on ${db}: ${result.seconds.toFixed(2)} s\n`)
    }
    pairs.push(pair as Required<typeof pair>)
  }
  const ratioOf = (pair: (typeof pairs)[number]) => pair.mariadb.seconds / pair.sqlite.seconds
  const middle = pairs.toSorted((a, b) => ratioOf(a) - ratioOf(b))[Math.floor((pairs.length - 1) / 2)]
  if (middle === undefined) throw new Error('nothing was measured')
  return { count, ...middle, ratio: ratioOf(middle) }
}

function present(conditions: Readonly<Record<string, unknown>>, rows: readonly Row[]): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const titles = ['VMs', 'SQLite s', 'MariaDB s', 'ratio', 'SQLite CPU ms/VM', 'MariaDB: CPU ms/VM of ours']
  const lines = rows.map(({ count, sqlite, mariadb, ratio }) => [
    String(count),
    sqlite.seconds.toFixed(3),
    mariadb.seconds.toFixed(3),
    ratio.toFixed(2),
    ((sqlite.cpuSeconds * 1000) / count).toFixed(2),
    ((mariadb.cpuSeconds * 1000) / count).toFixed(2),
  ])
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\n`
}
