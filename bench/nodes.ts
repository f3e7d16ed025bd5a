import { parseArgs } from 'node:util'
import { createClient } from '#client'
import { Limiter } from '#kernel'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { buildDataCenter } from '#testkit'
import { describeConditions } from './conditions.ts'
import { asCloud } from './http-cloud.ts'
import { benchDirectory } from './run-in-child.ts'
import { type Installation, startNodes } from './running-nodes.ts'
import type { ServerProcess } from './server-process.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench nodes [--count N] [--concurrency N] [--dir DIR] [--json]

Creates VMs over HTTP: on one node with SQLite, on one with MariaDB, on one of a cluster (MariaDB and RabbitMQ), and spread over three. Every server is a
process of its own, and so are MariaDB (durable), the broker and the simulated hosts with the clients; all share this machine.

  --count        VMs for each (1000)
  --concurrency  calls in flight (100)
  --dir          where databases lie for as long as it takes (.zstack/bench of this repository)
`

export const nodes = {
  summary: 'embedded against MariaDB and RabbitMQ, one node against three',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        count: { type: 'string', default: '1000' },
        concurrency: { type: 'string', default: '100' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const size = { count: Number(values.count), concurrency: Number(values.concurrency) }
    const results: Result[] = []
    for (const kind of kinds) {
      process.stderr.write(`${kind.name} …\n`)
      results.push({ name: kind.name, ...(await measure(dir, kind, size)) })
    }
    const conditions = { ...(await describeConditions(dir)), concurrency: size.concurrency }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'nodes', conditions, results })}\n`)
    else process.stdout.write(present(conditions, results))
  },
}

interface Kind extends Installation {
  readonly name: string
}

const kinds: readonly Kind[] = [
  { name: '1 node, SQLite', nodes: 1, database: 'sqlite', bus: false },
  { name: '1 node, MariaDB', nodes: 1, database: 'mariadb', bus: false },
  { name: '1 node, MariaDB and RabbitMQ', nodes: 1, database: 'mariadb', bus: true },
  { name: '3 nodes, MariaDB and RabbitMQ', nodes: 3, database: 'mariadb', bus: true },
]

interface Figures {
  readonly vms: number
  readonly seconds: number
  /** Of all management processes together. */
  readonly cpuMsPerVm: number
}
type Result = Figures & { readonly name: string }
type Size = { readonly count: number; readonly concurrency: number }

async function measure(dir: string, kind: Kind, size: Size): Promise<Figures> {
  const running = await startNodes(dir, kind)
  try {
    return await createVms(running.servers, size)
  } finally {
    await running.dispose()
  }
}

async function createVms(servers: readonly ServerProcess[], { count, concurrency }: Size): Promise<Figures> {
  const clients = await Promise.all(
    servers.map(async ({ origin }) => {
      const client = createClient({ baseUrl: origin })
      await client.logIn('admin', 'password')
      return client
    }),
  )
  const [first] = clients
  if (first === undefined) throw new Error('there is no server')
  const center = await buildDataCenter(asCloud(first), {
    hosts: Math.max(2, Math.ceil(count / 100)),
    hostMemoryBytes: 120 * 128 * 2 ** 20,
  })
  const params = {
    instanceOfferingUuid: center.instanceOffering,
    imageUuid: center.image,
    l3NetworkUuids: [center.l3],
  }
  const limiter = new Limiter(() => concurrency)
  const cpuSeconds = async () =>
    (await Promise.all(servers.map((s) => s.cpuSeconds()))).reduce((a, b) => a + b, 0)
  const cpuBefore = await cpuSeconds()
  const begunAt = performance.now()
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      limiter.run(async () => {
        const client = clients[i % clients.length] ?? first
        await client.call(createVmInstance, { ...params, name: `vm-${i}` } as never)
      }),
    ),
  )
  const seconds = (performance.now() - begunAt) / 1000
  return { vms: count, seconds, cpuMsPerVm: (((await cpuSeconds()) - cpuBefore) / count) * 1000 }
}

function present(conditions: Record<string, string | number>, results: readonly Result[]): string {
  const base = results[0]?.seconds ?? 1
  const rows = results.map((r) => [
    r.name,
    String(r.vms),
    r.seconds.toFixed(2),
    (r.vms / r.seconds).toFixed(0),
    (r.seconds / base).toFixed(2),
    r.cpuMsPerVm.toFixed(2),
  ])
  const lines = Object.entries(conditions).map(([name, value]) => `${name}: ${value}`)
  const head = ['what', 'VMs', 's', 'VMs/s', 'times SQLite', 'CPU ms/VM']
  return `${lines.join('\n')}\n\n${formatTable([head, ...rows])}\n`
}
