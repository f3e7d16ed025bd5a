import type { SimulatedWorld } from '#agents/simulator/world.ts'
import type { Session } from '#db'
import { tableNames } from './test-database.ts'

/**
 * All there is, one line for each row, file, domain, bridge and lease: two states are the same when their lines are.
 * Left out is only what may differ without anybody having done anything wrong:
 */
const ignoredTables = new Set([
  // The journal and results of calls: looked at by themselves.
  'WorkflowVO',
  'WorkflowStepVO',
  'JobVO',
  // Each start of a process logs in anew.
  'SessionVO',
  'SchemaMigration',
  // Each start of a node is a run of its own.
  'ClusterEpochVO',
  'ClusterMemberVO',
])
/** `ipInLong` says in another way what `ip` says; free physical space is what was measured last; the rest is how busy a node was. */
const ignoredColumns = new Set([
  ...['ipInLong', 'availablePhysicalCapacity', 'runningJobs', 'waitingJobs'],
  ...['queueDepth', 'eventLoopLagMs', 'memoryBytes'],
])
const timeColumn = /Date$|^deletedAt$|^heartBeat$/

/** What a workflow that went back may leave behind. */
export interface Allowance {
  /** A host keeps an image that was brought to it, and the space it takes. */
  readonly imageCaches?: boolean
}

export async function stateLines(
  db: Session,
  world: SimulatedWorld,
  allowance: Allowance = {},
): Promise<string[]> {
  const lines = [...(await databaseLines(db)), ...worldLines(world)]
  return (allowance.imageCaches === true ? lines.flatMap(withoutCaches) : lines).sort()
}

async function databaseLines(db: Session): Promise<string[]> {
  const lines: string[] = []
  for (const table of await tableNames(db)) {
    if (ignoredTables.has(table)) continue
    for (const row of await db.all(`SELECT * FROM ${table}`, [])) {
      const told = Object.entries(row)
        .filter(([column, value]) => value !== null && !ignoredColumns.has(column))
        .map(([column, value]) => [column, timeColumn.test(column) ? '<time>' : value])
      lines.push(`${table} ${JSON.stringify(Object.fromEntries(told))}`)
    }
  }
  return lines
}

function worldLines(world: SimulatedWorld): string[] {
  const lines: string[] = []
  for (const { address, state } of world.hosts.values()) {
    const tell = (what: string, value: unknown) =>
      lines.push(`host ${address} ${what} ${JSON.stringify(value)}`)
    // Roots are not told: no command takes one back, and an empty one is a directory.
    for (const root of state.files.roots)
      for (const { path } of state.files.list(root)) tell(`file ${path}`, state.files.get(path))
    for (const [uuid, { spec, ...now }] of state.vms) {
      const { cpuNum, memoryBytes } = spec
      tell(`domain ${uuid}`, { ...now, cpuNum, memoryBytes })
    }
    for (const [uuid, { config, leases }] of state.networks) {
      tell(`network ${uuid}`, config)
      for (const [mac, lease] of leases) tell(`lease ${mac}`, lease)
    }
    for (const what of ['bridges', 'incoming', 'diskUsers', 'tapUsers'] as const)
      for (const [name, value] of state[what]) tell(`${what} ${name}`, value)
    tell('memory', state.usedMemoryBytes)
  }
  return [...lines, ...backupStorageLines(world)]
}

function backupStorageLines(world: SimulatedWorld): string[] {
  const lines: string[] = []
  for (const { address, state } of world.backupStorages.values()) {
    for (const root of state.files.roots) {
      lines.push(`backup storage ${address} root ${root}`)
      for (const { path } of state.files.list(root))
        lines.push(`backup storage ${address} file ${path} ${JSON.stringify(state.files.get(path))}`)
    }
  }
  return lines
}

/** The books of free space are then left to the auditor, who recomputes them. */
function withoutCaches(line: string): string[] {
  if (line.startsWith('LocalStorageImageCacheVO') || /^host \S+ file \S+\/imagecache\//.test(line)) return []
  if (!line.startsWith('LocalStorageHostRefVO') && !line.startsWith('PrimaryStorageVO')) return [line]
  return [line.replace(/"availableCapacity":\d+,?/g, '')]
}

const names = /[0-9a-f]{32}|\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b|\b\d+([.-])\d+\1\d+\1\d+\b/g

const numbers = /("internalId":|\bvnic)\d+/g

/**
 * The lines with names that came into being after `base` made anonymous (uuids, MAC and IP addresses are chosen anew each time),
 * so that the outcomes of two runs of the same work can be compared.
 */
export function anonymous(lines: readonly string[], base: readonly string[]): string[] {
  const known = new Set(base.flatMap((line) => line.match(names) ?? []))
  const hide = (name: string) => (known.has(name) ? name : '<new>')
  // What was given a number once does not get the same again when it is made a second time.
  const unnumbered = (line: string) => line.replace(numbers, '$1<number>')
  return lines.map((line) => unnumbered(line.replace(names, hide))).sort()
}

/** What is in one and not in the other: `+` came, `-` went. Empty when the states are the same. */
export function differences(before: readonly string[], after: readonly string[]): string[] {
  const left = [...before]
  const came: string[] = []
  for (const line of after) {
    const at = left.indexOf(line)
    if (at < 0) came.push(`+ ${line}`)
    else left.splice(at, 1)
  }
  return [...left.map((line) => `- ${line}`), ...came].map(short(left, came))
}

/** Of rows that changed, only what changed is worth reading. */
function short(went: readonly string[], came: readonly string[]): (line: string) => string {
  const rowOf = (line: string) => /^(?:[+-] )?(\w+VO \{"uuid":"\w+"),?(.*)$/.exec(line)
  return (line) => {
    const [, row, columns = ''] = rowOf(line) ?? []
    const others = line.startsWith('+') ? went : came
    const other = row === undefined ? undefined : others.find((o) => rowOf(o)?.[1] === row)
    if (row === undefined || other === undefined) return line
    const same = new Set(other.split(','))
    return `${line[0]} ${row} … ${columns.split(',').filter((column) => !same.has(column))}`
  }
}
