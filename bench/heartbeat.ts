import { openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { count } from '#db'
import { createLogger, newUuid, waitFor } from '#kernel'
import { pingInterval } from '#plugins/host/contract/configs.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { createTestCloud } from '#testkit'
import { makeBigCloud } from './big-cloud.ts'
import { describeConditions } from './conditions.ts'
import { benchDirectory } from './run-in-child.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench heartbeat [--hosts N] [--vms N] [--seconds N] [--dir DIR] [--json]

Connects simulated hosts and lets them be looked after once a minute: the CPU time of management and simulated hosts together. A real host
costs the TLS of one small call on a kept connection more.

  --hosts    how many hosts (10000)
  --vms      how many VMs they have (10000), all of them off
  --seconds  how long it is watched (120)
  --dir      where the database lies for as long as it takes (.zstack/bench of this repository)
`

export const heartbeat = {
  summary: 'what looking after 10,000 hosts once a minute costs',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        hosts: { type: 'string', default: '10000' },
        vms: { type: 'string', default: '10000' },
        seconds: { type: 'string', default: '120' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const place = await mkdtemp(join(dir, 'heartbeat-'))
    try {
      const [hosts, vms, seconds] = [Number(values.hosts), Number(values.vms), Number(values.seconds)]
      await makeBigCloud(place, { vms, hosts, off: true })
      const result = await measure(place, hosts, seconds)
      const conditions = { ...(await describeConditions(dir)), hosts, VMs: vms, 'watched s': seconds }
      if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'heartbeat', conditions, result })}\n`)
      else process.stdout.write(present(conditions, result))
    } finally {
      await rm(place, { recursive: true, force: true })
    }
  },
}

interface Result {
  readonly connectSeconds: number
  readonly connectCpuSeconds: number
  /** Of one core. */
  readonly cpuShare: number
  readonly longestStallMs: number
  readonly rssMb: number
}

async function measure(dir: string, hosts: number, seconds: number): Promise<Result> {
  const log = createLogger({ name: 'bench', level: 'info', fd: openSync('/dev/null', 'w') })
  const begun = performance.now()
  const cpuBefore = process.cpuUsage()
  const bootedAt = Date.now()
  const cloud = await createTestCloud({ data: { dir, nodeUuid: newUuid() }, log })
  try {
    await cloud.cloud.context.config.set(pingInterval.category, pingInterval.name, 60)
    const connected = { status: 'Connected', lastOpDate: { op: '>=' as const, values: [bootedAt] } }
    const all = async () => (await count(cloud.cloud.context.db, host, connected)) >= hosts
    await waitFor('every host to be connected', all, { timeoutMs: 600_000, intervalMs: 500 })
    const connectSeconds = (performance.now() - begun) / 1000
    const spent = process.cpuUsage(cpuBefore)
    process.stderr.write(`${hosts} hosts are connected, watching for ${seconds} s\n`)
    const stalls = watchStalls()
    const watched = process.cpuUsage()
    await setTimeout(seconds * 1000)
    const { user, system } = process.cpuUsage(watched)
    return {
      connectSeconds,
      connectCpuSeconds: (spent.user + spent.system) / 1e6,
      cpuShare: (user + system) / 1e6 / seconds,
      longestStallMs: stalls(),
      rssMb: process.memoryUsage.rss() / 2 ** 20,
    }
  } finally {
    await cloud.dispose()
  }
}

const TICK_MS = 20

/** The longest the event loop was kept from a timer, in ms, told when asked. */
function watchStalls(): () => number {
  let last = performance.now()
  let longest = 0
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last - TICK_MS)
    last = now
  }, TICK_MS)
  return () => {
    clearInterval(timer)
    return longest
  }
}

function present(conditions: Readonly<Record<string, unknown>>, result: Result): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const titles = ['connect s', 'connect CPU s', 'CPU of one core', 'longest stall ms', 'RSS MB']
  const line = [
    result.connectSeconds.toFixed(1),
    result.connectCpuSeconds.toFixed(1),
    `${(result.cpuShare * 100).toFixed(1)} %`,
    result.longestStallMs.toFixed(0),
    result.rssMb.toFixed(0),
  ]
  return `${header.join('\n')}\n\n${formatTable([titles, line])}\n`
}
