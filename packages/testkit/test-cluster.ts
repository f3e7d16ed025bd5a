import type { TestContext } from 'node:test'
import { createSimulatedWorld, type SimulatedWorld } from '#agents/simulator/world.ts'
import { createMemoryHub, type MemoryHub } from '#bus'
import type { Database } from '#db'
import { newUuid } from '#kernel'
import { agentsOf } from '#plugins/simulator/agents.ts'
import { createSimulatorPluginOf } from '#plugins/simulator/plugin.ts'
import { allPlugins } from '#server/plugins.ts'
import { createTestCloud, type TestCloud, type TestCloudOptions } from './cloud.ts'
import { tempDir } from './temp-database.ts'

/** One of several management nodes in the test's process. */
export interface TestNode extends TestCloud {
  /** Stops at its next use of the database, and hears and says nothing, until `wake`. */
  freeze(): void
  wake(): void
  /** As `freeze`, for good. */
  die(): void
  /** What it was told when the others had declared it dead; undefined while it is a member. */
  fencedBy(): string | undefined
}

export interface TestCluster {
  readonly hub: MemoryHub
  readonly world: SimulatedWorld
  readonly nodes: readonly TestNode[]
  /** Starts one more node on the same database and world. */
  add(options?: Pick<TestCloudOptions, 'observe'>): Promise<TestNode>
}

const HEARTBEAT_MS = 50

/** Management nodes that share a database, a simulated world and a bus in memory; all end with the test. */
export async function createTestCluster(t: TestContext, size: number): Promise<TestCluster> {
  const dir = tempDir(t)
  const world = createSimulatedWorld()
  const hub = createMemoryHub()
  const nodes: TestNode[] = []
  const add: TestCluster['add'] = async (options = {}) => {
    const uuid = newUuid()
    const gate = createGate()
    let fencedBy: string | undefined
    let closeDatabase = async () => {}
    const cloud = await createTestCloud({
      ...options,
      world,
      data: { dir, nodeUuid: uuid },
      transport: hub.transport(uuid),
      // The world is everybody's: a node that starts must not bring it in order.
      plugins: () => allPlugins(createSimulatorPluginOf(agentsOf(world))),
      heartbeatMs: HEARTBEAT_MS,
      wrap: (db) => {
        closeDatabase = () => db.close()
        return gated(db, gate)
      },
      onFenced: (reason) => {
        fencedBy = reason
      },
    })
    const node: TestNode = Object.assign(Object.create(cloud) as TestCloud, {
      freeze: () => {
        gate.shut()
        hub.cut(uuid)
      },
      wake: () => {
        hub.heal(uuid)
        gate.open()
      },
      die: () => {
        gate.shut()
        hub.cut(uuid)
      },
      fencedBy: () => fencedBy,
    })
    nodes.push(node)
    // Those that died cannot stop in order; a process that is fenced ends at once.
    t.after(() => (gate.isShut() || fencedBy !== undefined ? closeDatabase() : cloud.dispose()))
    return node
  }
  for (let i = 0; i < size; i += 1) await add()
  return { hub, world, nodes, add }
}

interface Gate {
  readonly passed: () => Promise<void> | undefined
  shut(): void
  open(): void
  isShut(): boolean
}

function createGate(): Gate {
  let opened: PromiseWithResolvers<void> | undefined
  return {
    passed: () => opened?.promise,
    shut: () => {
      opened ??= Promise.withResolvers<void>()
    },
    open: () => {
      opened?.resolve()
      opened = undefined
    },
    isShut: () => opened !== undefined,
  }
}

/** A database that is reached only through the gate, and answers only through it. */
function gated(db: Database, gate: Gate): Database {
  const through = async <T>(work: () => Promise<T>): Promise<T> => {
    await gate.passed()
    const answer = await work()
    await gate.passed()
    return answer
  }
  return {
    dialect: db.dialect,
    stats: db.stats,
    all: (sql, params) => through(() => db.all(sql, params)),
    rows: (sql, params) => through(() => db.rows(sql, params)),
    run: (sql, params) => through(() => db.run(sql, params)),
    write: (unit) => through(() => db.write(unit)),
    guardWrites: (guard) => db.guardWrites(guard),
    execute: (sql) => through(() => db.execute(sql)),
    close: () => db.close(),
  }
}
