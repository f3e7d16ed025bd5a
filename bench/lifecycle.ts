import { openSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createLogger } from '#kernel'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { startVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { buildDataCenter, createTestCloud, type TestCloud } from '#testkit'
import { describeConditions } from './conditions.ts'
import { benchDirectory } from './run-in-child.ts'
import { quantile } from './statistics.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench lifecycle [--count N] [--concurrency N] [--dir DIR] [--json]

Creates VMs on simulated hosts, then stops, starts, destroys and expunges all of them, one kind of operation after the other, in one cloud.

  --count        how many VMs (10000)
  --concurrency  calls in flight at the same time (200)
  --dir          where the database lies for as long as it takes (.zstack/bench of this repository)
`

interface Phase {
  readonly operation: string
  readonly seconds: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMs: number
  readonly rssMb: number
}

export const lifecycle = {
  summary: 'create, stop, start, destroy and expunge many VMs on simulators',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        count: { type: 'string', default: '10000' },
        concurrency: { type: 'string', default: '200' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    // Where the cloud's database will be.
    process.env.TMPDIR = dir
    const [vms, concurrency] = [Number(values.count), Number(values.concurrency)]
    const phases = await measure(vms, concurrency)
    const conditions = { ...(await describeConditions(dir)), VMs: vms, 'at a time': concurrency }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'lifecycle', conditions, phases })}\n`)
    else process.stdout.write(present(conditions, phases))
  },
}

async function measure(vms: number, concurrency: number): Promise<Phase[]> {
  const log = createLogger({ name: 'bench', level: 'info', fd: openSync('/dev/null', 'w') })
  const cloud = await createTestCloud({ log })
  try {
    const params = await prepare(cloud, vms)
    const uuids: string[] = []
    const operations: [string, (i: number) => Promise<unknown>][] = [
      [
        'create',
        async (i) => {
          const { inventory } = await cloud.call(createVmInstance, { ...params, name: `vm-${i}` })
          uuids.push(String((inventory as { uuid: string }).uuid))
        },
      ],
      ['stop', (i) => cloud.call(stopVmInstance, { uuid: uuids[i] ?? '', type: 'cold' })],
      ['start', (i) => cloud.call(startVmInstance, { uuid: uuids[i] ?? '' })],
      ['destroy', (i) => cloud.call(destroyVmInstance, { uuid: uuids[i] ?? '' })],
      ['expunge', (i) => cloud.call(expungeVmInstance, { uuid: uuids[i] ?? '' })],
    ]
    const phases: Phase[] = []
    for (const [operation, work] of operations) {
      phases.push(await timed(operation, vms, concurrency, work))
      process.stderr.write(`${operation}: ${phases.at(-1)?.perSecond.toFixed(0)}/s\n`)
    }
    return phases
  } finally {
    await cloud.dispose()
  }
}

async function prepare(cloud: TestCloud, vms: number) {
  const center = await buildDataCenter(cloud, {
    hosts: Math.max(2, Math.ceil(vms / 100)),
    hostMemoryBytes: 120 * 128 * 2 ** 20,
    ...{ startIp: '172.16.0.10', endIp: '172.31.255.250', netmask: '255.240.0.0', gateway: '172.16.0.1' },
  })
  const { image: imageUuid, instanceOffering: instanceOfferingUuid, l3 } = center
  return { imageUuid, instanceOfferingUuid, l3NetworkUuids: [l3], strategy: 'InstantStart' as const }
}

async function timed(
  operation: string,
  vms: number,
  concurrency: number,
  work: (i: number) => Promise<unknown>,
): Promise<Phase> {
  const cpuBefore = process.cpuUsage()
  const begun = performance.now()
  const times: number[] = []
  let next = 0
  const worker = async () => {
    while (next < vms) {
      const i = next
      next += 1
      const start = performance.now()
      await work(i)
      times.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, vms) }, worker))
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const [p50Ms, p99Ms] = [quantile(times, 0.5), quantile(times, 0.99)]
  const cpuMs = (user + system) / 1000 / vms
  const rssMb = process.memoryUsage.rss() / 2 ** 20
  return { operation, seconds, perSecond: vms / seconds, p50Ms, p99Ms, cpuMs, rssMb }
}

function present(conditions: Readonly<Record<string, unknown>>, phases: readonly Phase[]): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const titles = ['operation', 's', 'per s', 'p50 ms', 'p99 ms', 'CPU ms/VM', 'RSS MB']
  const lines = phases.map((phase) => [
    phase.operation,
    phase.seconds.toFixed(2),
    phase.perSecond.toFixed(0),
    phase.p50Ms.toFixed(1),
    phase.p99Ms.toFixed(1),
    phase.cpuMs.toFixed(2),
    phase.rssMb.toFixed(0),
  ])
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\n`
}
