import { parseArgs } from 'node:util'
import { describeConditions } from './conditions.ts'
import { benchDirectory, runInChild } from './run-in-child.ts'
import { formatTable } from './table.ts'
import type { CreationResult } from './vm-creation.ts'

const usage = `usage: ./zstack bench grow-vms [--marks N,...] [--concurrency N] [--dir DIR] [--json]

Creates VMs in one cloud, and tells the rate of the last 1,000 before each mark: it should not fall as the cloud grows.

  --marks        how many VMs there are at each mark, growing (1000,2000,10000,50000)
  --concurrency  calls in flight at the same time (100)
  --dir          where the database lies: a directory on a real disk (.zstack/bench of this repository)
  --json         one JSON object instead of the table
`

export const growVms = {
  summary: 'whether creating a VM stays as fast while the cloud grows',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        marks: { type: 'string', default: '1000,2000,10000,50000' },
        concurrency: { type: 'string', default: '100' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const marks = values.marks.split(',').map(Number)
    const concurrency = Number(values.concurrency)
    const results = await runInChild(dir, { marks, concurrency, journal: 'durable' })
    const conditions = await describeConditions(dir)
    if (values.json)
      process.stdout.write(`${JSON.stringify({ bench: 'grow-vms', conditions, concurrency, results })}\n`)
    else process.stdout.write(present(conditions, results))
  },
}

function present(conditions: Readonly<Record<string, unknown>>, results: readonly CreationResult[]): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const first = results[0]
  const lines = results.map((r) => [
    String(r.vms),
    r.perSecond.toFixed(0),
    first === undefined ? '' : (r.perSecond / first.perSecond).toFixed(2),
    ((r.cpuSeconds * 1000) / r.measured).toFixed(2),
    r.p50Ms.toFixed(1),
    r.p99Ms.toFixed(1),
    r.rssMb.toFixed(0),
  ])
  const titles = ['VMs', 'VMs/s', 'to first', 'CPU ms/VM', 'p50 ms', 'p99 ms', 'RSS MB']
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\n`
}
