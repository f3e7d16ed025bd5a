import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { createSimulatedWorld } from '#agents/simulator/world.ts'
import { openMariadb } from '#db'
import type { Lab } from '#lab/lab.ts'
import { openWorldDoor, type WorldDoor } from '#plugins/simulator/world-socket.ts'
import { type Galera, type Rabbitmq, startGalera, startRabbitmq } from '#testkit'
import { ManagementProcess } from './management-process.ts'
import type { Random } from './random.ts'
import { mendRealHosts, realTargets } from './real-faults.ts'
import type { Target, Way } from './schedule.ts'
import { processWays, type Stage, worldTargets } from './stage.ts'
import type { Wires } from './wires.ts'

const three = [0, 1, 2] as const
export const nodeNames = three.map((i) => `node${i}`)
const brokerNames = three.map((i) => `broker${i}`)
const databaseNames = three.map((i) => `db${i}`)

/** Everybody who gets a network namespace. */
export const clusterMembers: readonly string[] = [...nodeNames, ...brokerNames, ...databaseNames]

/** Three management nodes, three brokers, three members of the database, each on a host of its own. Runs in the middle of the wires. */
export async function openClusterStage(dir: string, random: Random, wires: Wires, lab?: Lab): Promise<Stage> {
  const places = (names: readonly string[]) =>
    names.map((name) => ({ host: wires.addressOf(name), namespace: wires.namespaceOf(name) }))
  const [galera, rabbitmq] = await Promise.all([
    startGalera({ members: 3, places: places(databaseNames) }),
    startRabbitmq({ nodes: 3, places: places(brokerNames) }),
  ])
  const world = createSimulatedWorld()
  const doors: WorldDoor[] = []
  const nodes = nodeNames.map((name) => nodeOn(name, { dir, wires, galera, rabbitmq }))
  const dispose = async () => {
    await Promise.all(nodes.map((node) => node.kill()))
    for (const door of doors) await door.dispose()
    await Promise.all([galera.dispose(), rabbitmq.dispose()])
  }
  try {
    await createDatabase(galera)
    for (const name of nodeNames) doors.push(await openWorldDoor(world, join(dir, `${name}.world`)))
    await startNodes(dir, nodes)
  } catch (error) {
    await dispose()
    throw error
  }
  const agents = worldTargets(
    world,
    doors.map(({ link }) => link),
    random,
  )
  const members = [
    ...nodes.map((node) => target('node', node.name, { ...processWays(node), ...cutting(wires, node.name) })),
    ...brokerNames.map((name, i) =>
      target('broker', name, { ...memberWays(rabbitmq, i), ...cutting(wires, name) }),
    ),
    ...databaseNames.map((name, i) =>
      target('database', name, { ...memberWays(galera, i), ...cutting(wires, name) }),
    ),
  ]
  const { endpoints } = galera
  const login = { user: 'root', password: '', database: 'zstack', poolSize: 2 }
  const real = lab === undefined ? [] : await realTargets(lab)
  return {
    nodes,
    world,
    ...(lab === undefined ? {} : { lab }),
    openDatabase: () => openMariadb({ endpoints, ...login }),
    targets: [...members, ...agents.targets, ...real],
    rare: [
      majority('broker', brokerNames, wires, rabbitmq),
      majority('database', databaseNames, wires, galera),
    ],
    mendAll: async () => {
      agents.mend()
      for (const name of clusterMembers) await wires.heal(name)
      for (const node of nodes) node.thaw()
      for (const i of three) for (const servers of [rabbitmq, galera]) servers.thaw(i)
      if (lab !== undefined) await mendRealHosts(lab)
    },
    dispose,
  }
}

/** The first makes the keys of the cloud, the others are given them. */
async function startNodes(dir: string, nodes: readonly ManagementProcess[]): Promise<void> {
  for (const node of nodes) {
    for (const keys of ['secret.key', 'agent-authority']) {
      const [from, to] = [join(dir, nodeNames[0] ?? '', keys), join(dir, node.name, keys)]
      if (from !== to && existsSync(from)) cpSync(from, to, { recursive: true })
    }
    node.start()
    await node.untilReady(60_000)
  }
}

interface Surroundings {
  readonly dir: string
  readonly wires: Wires
  readonly galera: Galera
  readonly rabbitmq: Rabbitmq
}

function nodeOn(name: string, { dir, wires, galera, rabbitmq }: Surroundings): ManagementProcess {
  const list = (all: readonly { host: string; port: number }[]) =>
    all.map(({ host, port }) => `${host}:${port}`).join()
  const host = wires.addressOf(name)
  return new ManagementProcess({
    name,
    args: [
      ...['--data-dir', join(dir, name), '--address', host],
      ...['--database', `mysql://root@${list(galera.endpoints)}/zstack`],
      ...['--bus', `amqp://${rabbitmq.user}@${list(rabbitmq.endpoints)}`],
    ],
    env: {
      ZSTACK_SIMULATED_WORLD: join(dir, `${name}.world`),
      ZSTACK_DATABASE_PASSWORD: '',
      ZSTACK_BUS_PASSWORD: rabbitmq.password,
    },
    host,
    port: 8080,
    namespace: wires.namespaceOf(name),
    log: join(dir, `${name}.log`),
  })
}

async function createDatabase({ endpoints }: Galera): Promise<void> {
  const connection = await createConnection({ ...endpoints[0], user: 'root' })
  await connection.query('CREATE DATABASE zstack CHARACTER SET utf8mb4')
  await connection.end()
}

const target = (group: string, name: string, ways: Target['ways']): Target => ({
  ...{ group, name, ways },
  // There are many more hosts and ways than these three.
  weight: 3,
})

function cutting(wires: Wires, member: string): Record<string, Way> {
  const breakIt = () => wires.cut(member)
  return { 'cut off': { weight: 3, longestMs: 14_000, breakIt, mend: () => wires.heal(member) } }
}

/**
 * Two of three at the same time: nobody may go on without them, and everything must by itself when they are back. They are not
 * killed: database members that ended as a majority wait for an operator who says which of them has the last word.
 */
function majority(
  group: string,
  names: readonly string[],
  wires: Wires,
  servers: Pick<Galera, 'freeze' | 'thaw'>,
): Target {
  const lost = names.slice(1)
  const both = (change: (name: string, i: number) => unknown) => () =>
    Promise.all(lost.map((name, i) => change(name, i + 1)))
  const cut: Way = {
    ...{ weight: 1, longestMs: 10_000 },
    breakIt: both((name) => wires.cut(name)),
    mend: both((name) => wires.heal(name)),
  }
  const freeze: Way = {
    ...{ weight: 1, longestMs: 10_000 },
    breakIt: both((_, i) => servers.freeze(i)),
    mend: both((_, i) => servers.thaw(i)),
  }
  return { group, name: `majority of ${group}s`, ways: { 'cut off': cut, freeze } }
}

/** What can happen to a server that is one of three. */
function memberWays(
  servers: Pick<Galera, 'kill' | 'start' | 'freeze' | 'thaw'>,
  i: number,
): Record<string, Way> {
  return {
    'kill -9': { weight: 3, longestMs: 3_000, breakIt: () => servers.kill(i), mend: () => servers.start(i) },
    freeze: { weight: 3, longestMs: 8_000, breakIt: () => servers.freeze(i), mend: () => servers.thaw(i) },
  }
}
