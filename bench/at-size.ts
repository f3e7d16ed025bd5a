import { parseArgs } from 'node:util'
import { describeConditions } from './conditions.ts'
import { benchDirectory, runInChild } from './run-in-child.ts'
import { median } from './statistics.ts'
import { formatTable } from './table.ts'
import type { CreationResult } from './vm-creation.ts'

const usage = `usage: ./zstack bench at-size [--existing N,...] [--count N] [--concurrency N] [--rounds N] [--dir DIR] [--json]

Creates VMs in clouds that have many already (made set by set, on hosts that are away), in turns: what a VM costs should not depend on how
many there are.

  --existing     how many VMs there are before (1000,100000,1000000; a million takes 3 GB of disk and some minutes)
  --count        how many are created and timed (5000)
  --concurrency  calls in flight at the same time (200)
  --rounds       repeats (2)
  --dir          where the databases lie for as long as it takes (.zstack/bench of this repository)
`

interface Sized {
  readonly existing: number
  readonly results: CreationResult[]
}

export const atSize = {
  summary: 'whether VM number 1,000,000 costs more than number 1,000',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        existing: { type: 'string', default: '1000,100000,1000000' },
        count: { type: 'string', default: '5000' },
        concurrency: { type: 'string', default: '200' },
        rounds: { type: 'string', default: '2' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const [count, concurrency] = [Number(values.count), Number(values.concurrency)]
    const sizes: Sized[] = values.existing.split(',').map((n) => ({ existing: Number(n), results: [] }))
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const { existing, results } of sizes) {
        const creation = { marks: [count], concurrency, journal: 'durable', existing } as const
        results.push(...(await runInChild(dir, creation)))
        process.stderr.write(`${existing} before: ${results.at(-1)?.perSecond.toFixed(0)}/s\n`)
      }
    }
    const conditions = { ...(await describeConditions(dir)), created: count, 'at a time': concurrency }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'at-size', conditions, sizes })}\n`)
    else process.stdout.write(present(conditions, sizes))
  },
}

function present(conditions: Readonly<Record<string, unknown>>, sizes: readonly Sized[]): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const rate = ({ results }: Sized) => median(results.map(({ perSecond }) => perSecond))
  const cpu = ({ results }: Sized) => median(results.map((r) => (r.cpuSeconds / r.measured) * 1000))
  const first = sizes[0]
  const lines = sizes.map((sized) => [
    String(sized.existing),
    rate(sized).toFixed(0),
    first === undefined ? '' : (rate(sized) / rate(first)).toFixed(2),
    cpu(sized).toFixed(2),
    first === undefined ? '' : (cpu(sized) / cpu(first)).toFixed(2),
    median(sized.results.map(({ peakRssMb }) => peakRssMb)).toFixed(0),
  ])
  const titles = ['VMs before', 'VMs/s', 'to first', 'CPU ms/VM', 'to first', 'peak RSS MB']
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\n`
}
