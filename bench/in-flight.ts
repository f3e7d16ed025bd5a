import { Agent, request as httpRequest } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from '#client'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { buildDataCenter } from '#testkit'
import { describeConditions } from './conditions.ts'
import { asCloud } from './http-cloud.ts'
import { benchDirectory } from './run-in-child.ts'
import { type Installation, startNodes } from './running-nodes.ts'
import type { ServerProcess } from './server-process.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench in-flight [--count N] [--connections N] [--nodes N] [--dir DIR] [--json]

Sends that many CreateVmInstance calls over HTTP to a whole server, as fast as it accepts them and without waiting for any, then polls until
each has its answer: first with SQLite in the process, then with MariaDB (durable) and RabbitMQ, as a ratio of one run. The clients, the simulated
hosts, the database and the broker are other processes on the same machine.

  --count        calls (10000)
  --connections  kept connections they are sent over (100)
  --nodes        management nodes with MariaDB and RabbitMQ (1)
  --dir          where the database lies for as long as it takes (.zstack/bench of this repository)
`

export const inFlight = {
  summary: '10,000 API calls in flight over HTTP: all answered, and the memory it takes',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        count: { type: 'string', default: '10000' },
        connections: { type: 'string', default: '100' },
        nodes: { type: 'string', default: '1' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const nodes = Number(values.nodes)
    const size = { calls: Number(values.count), connections: Number(values.connections) }
    const results: Result[] = []
    for (const kind of [embedded, clustered(nodes)]) {
      process.stderr.write(`${kind.name} …\n`)
      const running = await startNodes(dir, kind)
      try {
        results.push({ name: kind.name, ...(await measure(running.servers, size)) })
      } finally {
        await running.dispose()
      }
    }
    const conditions = { ...(await describeConditions(dir)), connections: values.connections }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'in-flight', conditions, results })}\n`)
    else process.stdout.write(present(conditions, results))
  },
}

interface Kind extends Installation {
  readonly name: string
}

const embedded: Kind = { name: 'SQLite', nodes: 1, database: 'sqlite', bus: false }
const clustered = (nodes: number): Kind => {
  const what = nodes === 1 ? 'MariaDB and RabbitMQ' : `${nodes} nodes, MariaDB and RabbitMQ`
  return { name: what, nodes, database: 'mariadb', bus: true }
}

type Result = Figures & { readonly name: string }

interface Figures {
  readonly calls: number
  readonly succeeded: number
  readonly failed: number
  /** Running VMs the cloud has afterwards. */
  readonly vms: number
  readonly acceptedSeconds: number
  readonly seconds: number
  /** When the last was accepted. */
  readonly unfinishedAtMost: number
  /** Of all nodes together. */
  readonly cpuMsPerCall: number
  /** Of the node that had most. */
  readonly peakRssMb: number
}

interface Size {
  readonly calls: number
  readonly connections: number
}

async function measure(servers: readonly ServerProcess[], { calls, connections }: Size): Promise<Figures> {
  const [first] = servers
  if (first === undefined) throw new Error('there is no server')
  const client = createClient({ baseUrl: first.origin })
  await client.logIn('admin', 'password')
  const params = await prepare(client, calls)
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const headers = { authorization: `OAuth ${client.sessionUuid}`, 'content-type': 'application/json' }
  let turn = 0
  const send = (method: string, path: string, body?: string) => {
    turn += 1
    const { origin } = servers[turn % servers.length] ?? first
    return exchange({ agent, headers, method }, `${origin}/zstack/v1${path}`, body)
  }
  const cpuSeconds = async () =>
    (await Promise.all(servers.map((server) => server.cpuSeconds()))).reduce((a, b) => a + b, 0)
  const cpuBefore = await cpuSeconds()
  const begun = performance.now()
  const passed = () => (performance.now() - begun) / 1000
  const jobs = await Promise.all(
    Array.from({ length: calls }, async (_, i) => {
      const reply = await send(
        'POST',
        createVmInstance.path,
        JSON.stringify({ params: { ...params, name: `vm-${i}` } }),
      )
      if (reply.status !== 202) throw new Error(`a call was answered ${reply.status}: ${reply.body}`)
      return String((JSON.parse(reply.body) as { location: string }).location.split('/').at(-1))
    }),
  )
  const acceptedSeconds = passed()
  const before = await count(client)
  const statuses = await results(jobs, (job) => send('GET', `/api-jobs/${job}`))
  const seconds = passed()
  agent.destroy()
  const cpuMsPerCall = (((await cpuSeconds()) - cpuBefore) / calls) * 1000
  const peakRssMb = Math.max(...(await Promise.all(servers.map((server) => server.memoryMb('VmHWM')))))
  const succeeded = statuses.filter((status) => status === 200).length
  return {
    ...{ calls, succeeded, failed: calls - succeeded, vms: await count(client), acceptedSeconds, seconds },
    ...{ unfinishedAtMost: calls - before, cpuMsPerCall, peakRssMb },
  }
}

type Client = ReturnType<typeof createClient>

async function prepare(client: Client, calls: number) {
  const center = await buildDataCenter(asCloud(client), {
    hosts: Math.max(2, Math.ceil(calls / 100)),
    hostMemoryBytes: 120 * 128 * 2 ** 20,
    ...{ startIp: '172.16.0.10', endIp: '172.31.255.250', netmask: '255.240.0.0', gateway: '172.16.0.1' },
  })
  return {
    instanceOfferingUuid: center.instanceOffering,
    imageUuid: center.image,
    l3NetworkUuids: [center.l3],
    strategy: 'InstantStart',
  }
}

async function count(client: Client): Promise<number> {
  return (await client.query(queryVmInstance, ['state=Running'], { count: true })).total ?? 0
}

/** Asks for those that have no result yet, all of them once a second. */
async function results(
  jobs: readonly string[],
  poll: (job: string) => Promise<{ status: number }>,
): Promise<number[]> {
  const statuses: number[] = []
  let open = jobs
  while (open.length > 0) {
    const replies = await Promise.all(open.map(poll))
    statuses.push(...replies.filter(({ status }) => status !== 202).map(({ status }) => status))
    open = open.filter((_, i) => replies[i]?.status === 202)
    if (open.length > 0) await setTimeout(1_000)
  }
  return statuses
}

function exchange(options: object, url: string, body?: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.once('error', reject)
    })
    request.once('error', reject)
    request.end(body)
  })
}

function present(conditions: Readonly<Record<string, unknown>>, results: readonly Result[]): string {
  const header = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const base = results[0]?.seconds ?? 1
  const titles = [
    ...['what', 'calls', 'succeeded', 'failed', 'VMs', 'accepted s', 's', 'times SQLite'],
    ...['unfinished', 'CPU ms/call', 'peak RSS MB'],
  ]
  const lines = results.map((result) => {
    const { name, calls, succeeded, failed, vms, acceptedSeconds, seconds, unfinishedAtMost } = result
    const times = [acceptedSeconds, seconds, seconds / base].map((value) => value.toFixed(2))
    const line = [name, ...[calls, succeeded, failed, vms].map(String), ...times, String(unfinishedAtMost)]
    return [...line, result.cpuMsPerCall.toFixed(2), result.peakRssMb.toFixed(0)]
  })
  return `${header.join('\n')}\n\n${formatTable([titles, ...lines])}\nunfinished: calls without an answer when the last one was accepted.\n`
}
