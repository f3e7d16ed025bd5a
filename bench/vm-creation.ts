import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createLogger } from '#kernel'
import { pingInterval } from '#plugins/host/contract/configs.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import {
  buildDataCenter,
  createTestCloud,
  type DataCenter,
  type TestCloud,
  type TestCloudOptions,
} from '#testkit'
import { makeBigCloud } from './big-cloud.ts'

/** What one process measures: the argument of this program, as JSON. */
export interface Creation {
  /** How many VMs there are at each result, growing. */
  readonly marks: readonly number[]
  readonly concurrency: number
  readonly journal: 'durable' | 'none'
  /** VMs there are before, on hosts that are away. */
  readonly existing?: number
}

/** One result, sent to the parent: about the `measured` creations up to a mark. */
export interface CreationResult {
  readonly vms: number
  readonly measured: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuSeconds: number
  readonly rssMb: number
  /** Of the process so far. */
  readonly peakRssMb: number
}

// With several marks, rates are of this many creations before each mark.
const WINDOW = 1_000
const VMS_PER_HOST = 100
const MIB = 2 ** 20

// Hosts of the VMs there are before: few, so that finding all of them away is soon over.
const EXISTING_HOSTS = 1_000

async function measure(creation: Creation): Promise<void> {
  if (creation.existing === undefined) return measureIn(creation, {})
  const dir = mkdtempSync(join(tmpdir(), 'zstack-existing-'))
  try {
    const hosts = Math.min(EXISTING_HOSTS, Math.max(2, Math.ceil(creation.existing / VMS_PER_HOST)))
    const tell = (what: string) => void process.stderr.write(`${creation.existing} VMs before: ${what}\n`)
    const size = { vms: creation.existing, hosts, unreachable: true, tell }
    const { nodeUuid } = await makeBigCloud(dir, size)
    await measureIn(creation, { data: { dir, nodeUuid } })
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function measureIn(
  { marks, concurrency, journal }: Creation,
  options: Pick<TestCloudOptions, 'data'>,
): Promise<void> {
  // Logs as a server does, but to nowhere.
  const log = createLogger({ name: 'bench', level: 'info', fd: openSync('/dev/null', 'w') })
  const cloud = await createTestCloud({ ...options, journal, log })
  try {
    if (options.data !== undefined) {
      const { config } = cloud.cloud.context
      await config.set(pingInterval.category, pingInterval.name, 86_400)
      await untilIdle()
    }
    const most = Math.max(...marks)
    const center = await buildDataCenter(cloud, {
      hosts: Math.max(2, Math.ceil(most / VMS_PER_HOST)),
      // Room for a fifth more than needed: the search for a host must not be a search for the last gap.
      hostMemoryBytes: VMS_PER_HOST * 1.2 * 128 * MIB,
      startIp: '172.16.0.10',
      endIp: '172.31.255.250',
      netmask: '255.240.0.0',
      gateway: '172.16.0.1',
    })
    let vms = 0
    for (const mark of marks) {
      const measured = marks.length === 1 ? mark : Math.min(WINDOW, mark - vms)
      await createVms(cloud, center, vms, mark - measured, concurrency)
      const result = await timed(cloud, center, mark - measured, mark, concurrency)
      // Without a parent (under a profiler) it is told here.
      if (process.send === undefined) console.error(result)
      else process.send(result)
      vms = mark
    }
  } finally {
    await cloud.dispose()
  }
}

/** Returns when this process has had next to nothing to do for a second. */
async function untilIdle(): Promise<void> {
  for (;;) {
    const before = process.cpuUsage()
    await setTimeout(1_000)
    const { user, system } = process.cpuUsage(before)
    if (user + system < 50_000) return
  }
}

async function timed(
  cloud: TestCloud,
  center: DataCenter,
  from: number,
  to: number,
  concurrency: number,
): Promise<CreationResult> {
  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  const latencies = await createVms(cloud, center, from, to, concurrency)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.ceil(latencies.length * share) - 1] ?? 0
  return {
    vms: to,
    measured: to - from,
    seconds,
    perSecond: (to - from) / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuSeconds: (user + system) / 1e6,
    rssMb: process.memoryUsage.rss() / MIB,
    peakRssMb: process.resourceUsage().maxRSS / 1024,
  }
}

/** Creates VMs number `from` up to `to`, `concurrency` at a time; returns how long each took, in ms. One that fails ends it all. */
async function createVms(
  cloud: TestCloud,
  center: DataCenter,
  from: number,
  to: number,
  concurrency: number,
): Promise<number[]> {
  const latencies: number[] = []
  let next = from
  const worker = async () => {
    while (next < to) {
      next += 1
      const name = `vm-${next}`
      const start = performance.now()
      const { inventory } = await cloud.call(createVmInstance, {
        name,
        instanceOfferingUuid: center.instanceOffering,
        imageUuid: center.image,
        l3NetworkUuids: [center.l3],
        strategy: 'InstantStart',
      })
      if ((inventory as { state?: unknown }).state !== 'Running') throw new Error(`${name} does not run`)
      latencies.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, to - from) }, worker))
  return latencies
}

await measure(JSON.parse(process.argv[2] ?? '') as Creation)
