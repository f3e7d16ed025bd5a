import type { SimulatedWorld } from '#agents/simulator/world.ts'
import type { Database } from '#db'
import type { Lab } from '#lab/lab.ts'
import type { WorldLink } from '#plugins/simulator/world-link.ts'
import type { ManagementProcess } from './management-process.ts'
import type { Random } from './random.ts'
import type { Target, Way } from './schedule.ts'

/** A running cloud that can be mistreated. */
export interface Stage {
  readonly nodes: readonly ManagementProcess[]
  readonly world: SimulatedWorld
  /** Real virtual hosts, reached by all nodes; absent when there are none. */
  readonly lab?: Lab
  /** Opens the database for the auditor, who closes it. */
  openDatabase(): Database
  readonly targets: readonly Target[]
  /** What is broken at most once. */
  readonly rare?: readonly Target[]
  /** Makes whole whatever a failed mending left broken. */
  mendAll(): Promise<void>
  dispose(): Promise<void>
}

/** What can happen to a node as a process. */
export function processWays(node: ManagementProcess): Record<string, Way> {
  return {
    'kill -9': {
      weight: 4,
      longestMs: 3_000,
      breakIt: () => node.kill(),
      mend: () => node.start(),
    },
    freeze: { weight: 3, longestMs: 14_000, breakIt: () => node.freeze(), mend: () => node.thaw() },
  }
}

/** What can happen to simulated machines, and on the way of a node to them. Which ones, is decided when it happens. */
export function worldTargets(
  world: SimulatedWorld,
  links: readonly WorldLink[],
  random: Random,
): { readonly targets: Target[]; mend(): void } {
  const lucky = random.fork('arrivals')
  const machines = () => [
    ...[...world.hosts].filter(([address]) => address.startsWith('10.1.')).map(([, h]) => h),
  ]
  const storages = () => [...world.backupStorages.values()]
  const target = (
    name: string,
    find: () => ReturnType<typeof machines>[number] | ReturnType<typeof storages>[number] | undefined,
  ): Target => ({
    group: name.startsWith('host') ? `host ${name.at(-1)}` : name,
    name,
    ways: {
      crash: {
        weight: 2,
        longestMs: 3_000,
        breakIt: () => find()?.knobs.crash(),
        mend: () => find()?.knobs.start(),
      },
      freeze: {
        weight: 2,
        longestMs: 6_000,
        breakIt: () => find()?.knobs.freeze(),
        mend: () => find()?.knobs.thaw(),
      },
      'slow down': {
        weight: 2,
        longestMs: 3_000,
        breakIt: () => find()?.knobs.latencyMs('*', 200),
        mend: () => find()?.knobs.latencyMs('*', 0),
      },
      'fail once': {
        weight: 3,
        longestMs: 0,
        breakIt: () => find()?.knobs.failNext('*', 'chaos', { after: lucky.chance(0.5) }),
      },
    },
  })
  const ways = links.map((link, index): Target => {
    const heal = () => link.heal(() => lucky.chance(0.5))
    const some = () => [...world.hosts.keys()].filter(() => lucky.chance(0.4))
    return {
      group: `way ${index}`,
      name: `way of node ${index} to the agents`,
      ways: {
        'cut to all': { weight: 1, longestMs: 8_000, breakIt: () => link.cut(), mend: heal },
        'cut to some': { weight: 2, longestMs: 8_000, breakIt: () => link.cut(some()), mend: heal },
      },
    }
  })
  return {
    targets: [
      ...Array.from({ length: 3 }, (_, i) => target(`host ${i}`, () => machines()[i])),
      target('image server', () => storages()[0]),
      ...ways,
    ],
    mend: () => {
      for (const link of links) link.heal(() => true)
      for (const { knobs } of [...world.hosts.values(), ...storages()]) {
        knobs.thaw()
        knobs.start()
        knobs.clear()
      }
    },
  }
}
