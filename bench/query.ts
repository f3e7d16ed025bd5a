import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeBigCloud } from './big-cloud.ts'
import { describeConditions } from './conditions.ts'
import { type QueryTiming, timeQueries } from './query-timing.ts'
import { benchDirectory } from './run-in-child.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench query [--vms N,...] [--rounds N] [--dir DIR] [--json]

Fills databases with clouds of that many VMs (one host for each 100) and times questions about them, each asked three times in a row.

  --vms     how many VMs (10000,100000,1000000; a million takes 3 GB of disk and some minutes)
  --rounds  different questions of each kind (200; a fifth of that for counts)
  --dir     where the databases lie for as long as it takes (.zstack/bench of this repository)
  --json    one JSON object instead of the table
`

interface Sized {
  readonly vms: number
  readonly timings: readonly QueryTiming[]
}

export const query = {
  summary: 'queries about 10,000 to 1,000,000 VMs: by uuid, pages, joins, counts',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        vms: { type: 'string', default: '10000,100000,1000000' },
        rounds: { type: 'string', default: '200' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const results: Sized[] = []
    for (const vms of values.vms.split(',').map(Number)) {
      const hosts = Math.max(2, Math.ceil(vms / 100))
      const place = await mkdtemp(join(dir, 'query-'))
      try {
        const tell = (what: string) => void process.stderr.write(`${vms} VMs: ${what}\n`)
        await makeBigCloud(place, { vms, hosts, tell })
        process.stderr.write('asking\n')
        results.push({ vms, timings: await timeQueries(place, { vms, hosts }, Number(values.rounds)) })
      } finally {
        await rm(place, { recursive: true, force: true })
      }
    }
    const conditions = { ...(await describeConditions(dir)), rounds: values.rounds }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'query', conditions, results })}\n`)
    else process.stdout.write(present(conditions, results))
  },
}

function present(conditions: Readonly<Record<string, unknown>>, results: readonly Sized[]): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const titles = ['question', 'VMs', 'found', 'p50 ms', 'p99 ms', 'best p50', 'best p99', 'aim', '']
  const lines = (results[0]?.timings ?? []).flatMap(({ name }) =>
    results.flatMap(({ vms, timings }) => {
      const timing = timings.find((one) => one.name === name)
      return timing === undefined ? [] : [line(vms, timing)]
    }),
  )
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\nbest: the shortest of the three times each was asked.\n`
}

function line(
  vms: number,
  { name, found, p50Ms, p99Ms, bestP50Ms, bestP99Ms, aimMs }: QueryTiming,
): string[] {
  const times = [p50Ms, p99Ms, bestP50Ms, bestP99Ms].map((ms) => ms.toFixed(2))
  return [name, String(vms), String(found), ...times, String(aimMs), bestP99Ms > aimMs ? 'missed' : '']
}
