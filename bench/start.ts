import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { makeBigCloud } from './big-cloud.ts'
import { describeConditions } from './conditions.ts'
import { benchDirectory } from './run-in-child.ts'
import { startServer } from './server-process.ts'
import { median } from './statistics.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench start [--vms N,...] [--rounds N] [--idle SECONDS] [--dir DIR] [--json]

Starts a whole server on a database with that many VMs, until it says that it is ready; then lets it idle and reads its memory. Its hosts
(one for each 100 VMs) cannot be reached: it tries them all at once, which is more than hosts that answer would cost it.

  --vms     how many VMs (10000,100000,1000000)
  --rounds  starts of each (5)
  --idle    how long it idles before its memory is read (25)
  --dir     where the databases lie for as long as it takes (.zstack/bench of this repository)
`

interface Start {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly idleRssMb: number
  /** Without what is only mapped from files. */
  readonly idleOwnMb: number
  readonly idleCpuShare: number
}

export const start = {
  summary: 'start-up time and idle memory of a server with 10,000 to 1,000,000 VMs',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        vms: { type: 'string', default: '10000,100000,1000000' },
        rounds: { type: 'string', default: '5' },
        idle: { type: 'string', default: '25' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const results: { vms: number; starts: Start[] }[] = []
    for (const vms of values.vms.split(',').map(Number))
      results.push({ vms, starts: await startsWith(dir, vms, Number(values.rounds), Number(values.idle)) })
    const conditions = { ...(await describeConditions(dir)), rounds: values.rounds, 'idle s': values.idle }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'start', conditions, results })}\n`)
    else process.stdout.write(present(conditions, results))
  },
}

async function startsWith(dir: string, vms: number, rounds: number, idle: number): Promise<Start[]> {
  const place = await mkdtemp(join(dir, 'start-'))
  try {
    const tell = (what: string) => void process.stderr.write(`${vms} VMs: ${what}\n`)
    await makeBigCloud(place, { vms, hosts: Math.max(2, Math.ceil(vms / 100)), unreachable: true, tell })
    const starts: Start[] = []
    for (let round = 1; round <= rounds; round += 1) {
      tell(`start ${round} of ${rounds}, then ${idle} s of idling`)
      starts.push(await startOnce(place, idle))
    }
    return starts
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}

async function startOnce(place: string, idleSeconds: number): Promise<Start> {
  const begun = performance.now()
  const server = await startServer(place)
  try {
    const seconds = (performance.now() - begun) / 1000
    const cpuSeconds = await server.cpuSeconds()
    await setTimeout(idleSeconds * 1000)
    const [idleRssMb, idleOwnMb] = [await server.memoryMb('VmRSS'), await server.memoryMb('RssAnon')]
    const idleCpuShare = ((await server.cpuSeconds()) - cpuSeconds) / idleSeconds
    return { seconds, cpuSeconds, idleRssMb, idleOwnMb, idleCpuShare }
  } finally {
    await server.dispose()
  }
}

function present(
  conditions: Readonly<Record<string, unknown>>,
  results: readonly { vms: number; starts: readonly Start[] }[],
): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const titles = ['VMs', 's', 'shortest', 'CPU s', 'idle RSS MB', 'own MB', 'idle CPU']
  const lines = results.map(({ vms, starts }) => {
    const of = (what: (one: Start) => number) => starts.map(what)
    return [
      String(vms),
      median(of((one) => one.seconds)).toFixed(2),
      Math.min(...of((one) => one.seconds)).toFixed(2),
      median(of((one) => one.cpuSeconds)).toFixed(2),
      median(of((one) => one.idleRssMb)).toFixed(0),
      median(of((one) => one.idleOwnMb)).toFixed(0),
      `${(median(of((one) => one.idleCpuShare)) * 100).toFixed(1)} %`,
    ]
  })
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\n`
}
