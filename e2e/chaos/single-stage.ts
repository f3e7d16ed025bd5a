import { join } from 'node:path'
import { createSimulatedWorld } from '#agents/simulator/world.ts'
import { openSqlite } from '#db'
import { openWorldDoor } from '#plugins/simulator/world-socket.ts'
import { ManagementProcess } from './management-process.ts'
import type { Random } from './random.ts'
import { processWays, type Stage, worldTargets } from './stage.ts'

/** One management node on SQLite, as on a machine of one's own. */
export async function openSingleStage(dir: string, random: Random): Promise<Stage> {
  const world = createSimulatedWorld()
  const socket = join(dir, 'world')
  const door = await openWorldDoor(world, socket)
  const dataDir = join(dir, 'data')
  const node = new ManagementProcess({
    name: 'node 0',
    args: ['--data-dir', dataDir],
    env: { ZSTACK_SIMULATED_WORLD: socket },
    // No two processes that live at the same time have the same.
    host: `127.77.${(process.pid >> 8) & 255}.${process.pid & 255}`,
    port: 8080,
    log: join(dir, 'node-0.log'),
  })
  node.start()
  try {
    await node.untilReady()
  } catch (error) {
    await node.kill()
    await door.dispose()
    throw error
  }
  const agents = worldTargets(world, [door.link], random)
  return {
    nodes: [node],
    world,
    openDatabase: () => openSqlite(join(dataDir, 'zstack.db')),
    targets: [{ group: 'node', weight: 3, name: node.name, ways: processWays(node) }, ...agents.targets],
    mendAll: async () => {
      agents.mend()
      node.thaw()
    },
    dispose: async () => {
      await node.kill()
      await door.dispose()
    },
  }
}
