import { waitFor } from '#kernel'
import type { Lab } from '#lab/lab.ts'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { audit, buildDataCenter, type TestCloud } from '#testkit'
import { auditRealHosts } from './audit-real-hosts.ts'
import { builderOf } from './builder.ts'
import { Ledger } from './ledger.ts'
import { createPatientClient, type PatientClient } from './patient-client.ts'
import { createRandom } from './random.ts'
import { buildRealCluster } from './real-cluster.ts'
import { type Fault, makeSchedule, runSchedule } from './schedule.ts'
import type { Stage } from './stage.ts'
import { allOperations, realOperations, runClient } from './workload.ts'

/** Guests are emulated: few clients keep the machine busy. */
const REAL_CLIENTS = 3
const settings = [
  ['host', 'ping.interval', '1'],
  ['host', 'ping.maxFailures', '2'],
  ['backupStorage', 'ping.interval', '1'],
  ['garbageCollector', 'interval', '1'],
] as const

export interface ChaosOptions {
  readonly seed: number
  /** How long things are broken. */
  readonly durationMs: number
  readonly clients: number
  readonly everyMs: number
  readonly stormMs: number
  readonly calmMs: number
  /** How long the cloud may take to put itself in order afterwards. */
  readonly quietMs: number
  /** Told what happens, as it happens. */
  readonly log: (line: string) => void
}

export interface ChaosReport {
  readonly operations: number
  readonly faults: number
  readonly findings: readonly string[]
  /** The same for people. */
  readonly text: string
}

/** Lets clients work while things break, puts everything right, and looks whether the cloud kept its promises. */
export async function runChaos(stage: Stage, options: ChaosOptions): Promise<ChaosReport> {
  const { seed, durationMs, log } = options
  const random = createRandom(seed)
  const urls = stage.nodes.map(({ url }) => url)
  const first = createPatientClient(urls, 0)
  // Checking a password takes long on purpose.
  const session = await first.logIn()
  const { dc, real } = await prepare(first, options.clients, stage.lab)
  // What is done periodically learns of another period only at the end of the one it is in.
  for (const node of stage.nodes) {
    await node.kill('SIGTERM')
    node.start()
    await node.untilReady()
  }
  log(`the data centre is ready; ${durationMs / 1000} s of chaos begin`)
  const faults = makeSchedule({ ...options, ...stage, random: random.fork('faults') })
  const ledger = new Ledger()
  const everybodys = new Set<string>()
  let isOver = false
  const work = Array.from({ length: options.clients }, (_, number) =>
    runClient({
      number,
      client: createPatientClient(urls, number, session),
      random: random.fork(`client ${number}`),
      ledger,
      ...(real !== undefined && number < REAL_CLIENTS
        ? { dc: real, operations: realOperations, manyVms: 3, everybodys: new Set() }
        : { dc, operations: allOperations, manyVms: 8, everybodys }),
      isOver: () => isOver,
      log,
    }),
  )
  const broken = await runSchedule(faults, durationMs, log)
  isOver = true
  await stage.mendAll()
  log('everything is mended')
  await Promise.all(work)
  log('the clients have ended')
  const startedAt = performance.now()
  const findings = await findingsWhenQuiet(stage, ledger, options.quietMs)
  if (findings.length > 0) await tellUnfinished(stage, log)
  const quietS = ((performance.now() - startedAt) / 1000).toFixed(1)
  const exits = stage.nodes.map(({ exits: count }) => count).join(', ')
  const text = [
    `seed: ${seed}`,
    ledger.summary(),
    `faults: ${broken.length} (nodes that ended by themselves: ${exits})`,
    `faults by kind: ${byKind(broken)}`,
    `in order ${quietS} s after the last client`,
    `findings: ${findings.length}`,
    ...findings.slice(0, 40),
  ].join('\n')
  return { operations: ledger.operations, faults: broken.length, findings, text }
}

function byKind(faults: readonly Fault[]): string {
  const kinds = Map.groupBy(faults, ({ target, how }) => `${target.name.replace(/ ?\d+$/, '')} ${how}`)
  return [...kinds].map(([kind, all]) => `${all.length} × ${kind}`).join(', ')
}

/** The data centre, and the part of it that is real when there are real hosts. */
async function prepare(client: PatientClient, clients: number, lab: Lab | undefined) {
  const builder = builderOf(client)
  for (const [category, name, value] of settings)
    await builder.call(updateGlobalConfig, { category, name, value })
  const dc = await buildDataCenter(builder as unknown as TestCloud, {
    hosts: 3,
    // Three VMs for each client, who wants more: sometimes there is no room.
    hostMemoryBytes: clients * 2 ** 27,
  })
  const other = { name: 'other', zoneUuid: dc.zone, hypervisorType: 'Simulator' }
  const whole = { ...dc, otherCluster: await builder.create(createCluster, other) }
  return { dc: whole, real: lab && (await buildRealCluster(builder, lab, whole)) }
}

/** Findings that do not go away: what the cloud is about to put in order is none. */
async function findingsWhenQuiet(stage: Stage, ledger: Ledger, quietMs: number): Promise<string[]> {
  let findings: string[] = []
  const look = async () => {
    findings = ['the auditor could not look']
    const ready = await Promise.all(stage.nodes.map((node) => node.isReady()))
    const away = stage.nodes
      .filter((_, index) => ready[index] === false)
      .map(({ name }) => `${name} is not ready`)
    const db = stage.openDatabase()
    try {
      const wrong = await audit(db, stage.world, { everyoneConnected: true })
      const real = stage.lab === undefined ? [] : await auditRealHosts(db, stage.lab)
      const ended = stage.nodes
        .filter(({ bugs }) => bugs > 0)
        .map(({ name, bugs }) => `${name} was ended by a bug ${bugs} times; see its log`)
      findings = [...away, ...ended, ...wrong, ...real, ...(await ledger.verify(db))]
    } finally {
      await db.close()
    }
    return findings.length === 0
  }
  try {
    await waitFor('everything is in order', look, { timeoutMs: quietMs, intervalMs: 250 })
  } catch (error) {
    // What stayed wrong tells more; without it the reason is that nobody could look.
    if (findings[0] === 'the auditor could not look') findings.push(String((error as Error).cause ?? error))
  }
  return findings
}

/** For whoever looks into a finding: the database goes with the run. */
async function tellUnfinished(stage: Stage, log: (line: string) => void): Promise<void> {
  const db = stage.openDatabase()
  try {
    for (const table of ['ManagementNodeVO', 'WorkflowVO', 'WorkflowStepVO', 'GarbageCollectorVO'])
      for (const row of await db.all(`SELECT * FROM ${table}`, [])) log(`${table} ${JSON.stringify(row)}`)
    for (const row of await db.all("SELECT * FROM JobVO WHERE state <> 'Done'", []))
      log(`JobVO ${JSON.stringify(row)}`)
  } finally {
    await db.close()
  }
}
