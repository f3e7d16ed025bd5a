import { parseArgs } from 'node:util'
import { count, type Database, find, openMariadb, type Session } from '#db'
import { createPatientClient, type Outcome, type PatientClient } from '#e2e/chaos/patient-client.ts'
import { type Disposable, Scope, waitFor } from '#kernel'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { vmInstance } from '#plugins/vm/contract/resources.ts'
import { audit, buildDataCenter } from '#testkit'
import { workflowRecord } from '#workflow'
import { describeConditions } from './conditions.ts'
import { benchDirectory } from './run-in-child.ts'
import { type RunningNodes, startNodes } from './running-nodes.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench takeover [--rounds N] [--concurrency N] [--seconds N] [--dir DIR] [--json]

Creates VMs over HTTP on three management nodes (MariaDB and RabbitMQ, processes of this machine) and kills one of the nodes with SIGKILL in the middle. Tells
how long it took until it was declared dead, how long from then until none of its journals was left, what became of the calls, and what the auditor finds.

  --rounds       how often, each time in a fresh cloud (3)
  --concurrency  calls in flight (60)
  --seconds      how long calls are made before the node is killed, and after its work is taken over (5)
  --dir          where databases lie for as long as it takes (.zstack/bench of this repository)
`

export const takeover = {
  summary: 'a management node is killed under load: detection, takeover, and what became of the calls',
  async run(args: readonly string[]): Promise<void> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '3' },
        concurrency: { type: 'string', default: '60' },
        seconds: { type: 'string', default: '5' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const dir = benchDirectory(values.dir)
    const load = { concurrency: Number(values.concurrency), milliseconds: Number(values.seconds) * 1000 }
    const results: Result[] = []
    for (let round = 1; round <= Number(values.rounds); round += 1) {
      process.stderr.write(`round ${round} …\n`)
      results.push(await measure(dir, load))
    }
    const conditions = { ...(await describeConditions(dir)), concurrency: load.concurrency }
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: 'takeover', conditions, results })}\n`)
    else process.stdout.write(present(conditions, results))
    if (results.some(({ findings }) => findings.length > 0)) process.exitCode = 1
  },
}

// Longer than a node may be dead without being noticed: it may hold the call.
const LOST_JOB_MS = 20_000

interface Load {
  readonly concurrency: number
  readonly milliseconds: number
}

interface Result {
  /** From the kill until the others declared it dead. */
  readonly detectionSeconds: number
  /** Unfinished workflows it had then. */
  readonly journals: number
  /** From there until none of them was left. */
  readonly takeoverSeconds: number
  readonly calls: number
  readonly succeeded: number
  readonly refused: number
  /** Neither a result nor an error within a minute. */
  readonly unanswered: number
  readonly reasons: readonly string[]
  readonly findings: readonly string[]
}

async function measure(dir: string, load: Load): Promise<Result> {
  const scope = new Scope()
  try {
    const running = scope.add(await startNodes(dir, { nodes: 3, database: 'mariadb', bus: true }))
    const db = openFor(running, scope)
    const urls = running.servers.map(({ origin }) => origin)
    const session = await createPatientClient(urls, 0).logIn()
    const client = (i: number) => createPatientClient(urls, i, session, LOST_JOB_MS)
    const clients = Array.from({ length: load.concurrency }, (_, i) => client(i))
    const calls = scope.add(await beginCalls(clients))
    await passes(load.milliseconds)
    const times = await killAndWatch(running, db)
    await passes(load.milliseconds)
    const outcomes = await calls.end()
    return { ...times, ...sum(outcomes), findings: await findingsOf(running, db, outcomes) }
  } finally {
    await scope.dispose()
  }
}

function openFor({ databaseUrl = '' }: RunningNodes, scope: Scope): Database {
  const { hostname: host, port, pathname } = new URL(databaseUrl)
  const login = { user: 'root', password: '', database: pathname.slice(1), poolSize: 2 }
  const db = openMariadb({ endpoints: [{ host, port: Number(port) }], ...login })
  scope.onDispose(() => db.close())
  return db
}

interface Calls extends Disposable {
  /** Makes no more, and returns what became of all. */
  end(): Promise<Outcome[]>
}

/** Lets each client create one VM after the other. */
async function beginCalls(clients: readonly PatientClient[]): Promise<Calls> {
  const [first] = clients as [PatientClient]
  const call = async (api: never, input: object) => {
    const outcome = await first.perform(api, input as Record<string, unknown>)
    if (outcome.kind === 'ok') return outcome.reply
    throw new Error(`the data centre could not be built: ${JSON.stringify(outcome)}`)
  }
  const query = (api: never, { conditions = [] }: { conditions?: readonly Condition[] } = {}) =>
    first.query(
      api,
      conditions.map(({ name, op, value }) => `${name}${op}${value}`),
    )
  const center = await buildDataCenter({ call, query } as never, {
    hosts: 30,
    hostMemoryBytes: 120 * 128 * 2 ** 20,
    ...{ startIp: '172.16.0.10', endIp: '172.31.255.250', netmask: '255.240.0.0', gateway: '172.16.0.1' },
  })
  const params = {
    instanceOfferingUuid: center.instanceOffering,
    imageUuid: center.image,
    l3NetworkUuids: [center.l3],
  }
  let isOver = false
  const outcomes: Outcome[] = []
  const work = clients.map(async (client, number) => {
    while (!isOver) outcomes.push(await client.perform(createVmInstance, { ...params, name: `vm-${number}` }))
  })
  const end = async () => {
    isOver = true
    await Promise.all(work)
    return outcomes
  }
  return { end, dispose: async () => void (await end()) }
}

interface Condition {
  readonly name: string
  readonly op: string
  readonly value?: unknown
}

async function killAndWatch({ servers }: RunningNodes, db: Session) {
  const before = await membersOf(db)
  const [victim] = servers.slice(-1)
  await victim?.kill()
  const killedAt = performance.now()
  let dead = ''
  const isDetected = async () => {
    const now = await membersOf(db)
    dead = before.find((uuid) => !now.includes(uuid)) ?? ''
    return dead !== ''
  }
  await waitFor('the node is declared dead', isDetected, { timeoutMs: 60_000, intervalMs: 20 })
  const detectedAt = performance.now()
  const left = () => count(db, workflowRecord, { nodeUuid: dead })
  const journals = await left()
  const isTakenOver = async () => (await left()) === 0
  await waitFor('its journals are taken over', isTakenOver, { timeoutMs: 60_000, intervalMs: 20 })
  const takenOverAt = performance.now()
  return {
    detectionSeconds: (detectedAt - killedAt) / 1000,
    journals,
    takeoverSeconds: (takenOverAt - detectedAt) / 1000,
  }
}

async function membersOf(db: Session): Promise<string[]> {
  return (await db.all('SELECT uuid FROM ClusterMemberVO', [])).map(({ uuid }) => String(uuid))
}

function sum(outcomes: readonly Outcome[]) {
  const of = (kind: Outcome['kind']) => outcomes.filter((outcome) => outcome.kind === kind).length
  const reasons = outcomes.flatMap((outcome) => (outcome.kind === 'unknown' ? [outcome.reason] : []))
  return {
    calls: outcomes.length,
    succeeded: of('ok'),
    refused: of('refused'),
    unanswered: reasons.length,
    reasons,
  }
}

/** What the auditor finds, and calls whose effect is not there or there twice. */
async function findingsOf(
  { world }: RunningNodes,
  db: Session,
  outcomes: readonly Outcome[],
): Promise<string[]> {
  let findings: string[] = []
  const isIdle = async () => (await find(db, workflowRecord, {})).length === 0
  await waitFor('all work has ended', isIdle, { timeoutMs: 60_000, intervalMs: 100 })
  findings = await audit(db, world, { everyoneConnected: true })
  const { succeeded, unanswered } = sum(outcomes)
  const vms = await count(db, vmInstance, { state: 'Running' })
  // A call whose end nobody knows may have been done.
  if (vms < succeeded || vms > succeeded + unanswered)
    findings.push(`${succeeded} calls succeeded, and ${vms} VMs run`)
  return findings
}

/** Calls are made meanwhile: the time is what is asked for. */
function passes(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

function present(conditions: Record<string, string | number>, results: readonly Result[]): string {
  const titles = ['detection s', 'its journals', 'takeover s', 'calls', 'succeeded', 'refused', 'unanswered']
  const rows = results.map((r) => [
    r.detectionSeconds.toFixed(2),
    String(r.journals),
    r.takeoverSeconds.toFixed(2),
    ...[r.calls, r.succeeded, r.refused, r.unanswered].map(String),
    String(r.findings.length),
  ])
  const lines = Object.entries(conditions).map(([name, value]) => `# ${name}: ${value}`)
  const findings = results.flatMap((r) => [...r.reasons, ...r.findings.slice(0, 20)])
  return [...lines, '', formatTable([[...titles, 'findings'], ...rows]), ...findings, ''].join('\n')
}
