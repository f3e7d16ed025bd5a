import { cp, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { createSimulatedWorld, type SimulatedWorld } from '#agents/simulator/world.ts'
import { type Disposable, newUuid, Scope } from '#kernel'
import { openWorldDoor } from '#plugins/simulator/world-socket.ts'
import { startMariadbServer, startRabbitmq } from '#testkit'
import { type ServerOptions, type ServerProcess, startServer } from './server-process.ts'

/** Management nodes, and what they share. */
export interface Installation {
  readonly nodes: number
  readonly database: 'sqlite' | 'mariadb'
  readonly bus: boolean
}

export interface RunningNodes extends Disposable {
  readonly servers: readonly ServerProcess[]
  readonly world: SimulatedWorld
  /** What `--database` was given; absent when each has a file of its own. */
  readonly databaseUrl?: string
}

/** Starts the nodes, each in a process of its own with its data below `dir`, on hosts that are simulated in this process. */
export async function startNodes(dir: string, installation: Installation): Promise<RunningNodes> {
  const scope = new Scope()
  const place = await mkdtemp(join(dir, 'nodes-'))
  scope.onDispose(() => rm(place, { recursive: true, force: true }))
  try {
    const world = createSimulatedWorld()
    const door = join(place, 'world')
    scope.add(await openWorldDoor(world, door))
    const { options, databaseUrl } = await surroundings(scope, installation)
    const env = { ...options.env, ZSTACK_SIMULATED_WORLD: door }
    const servers: ServerProcess[] = []
    for (let i = 0; i < installation.nodes; i += 1) {
      const data = join(place, `node${i}`)
      // The first makes the keys of the cloud, the others are given them.
      if (i > 0)
        for (const key of ['secret.key', 'agent-authority'])
          await cp(join(place, 'node0', key), join(data, key), { recursive: true })
      servers.push(scope.add(await startServer(data, { ...options, env })))
    }
    const dispose = () => scope.dispose()
    return { servers, world, dispose, ...(databaseUrl === undefined ? {} : { databaseUrl }) }
  } catch (error) {
    await scope.dispose()
    throw error
  }
}

/** Starts what the servers need beside themselves. */
async function surroundings(scope: Scope, { database, bus }: Installation) {
  const env: Record<string, string> = {}
  const args: string[] = []
  let databaseUrl: string | undefined
  if (database === 'mariadb') {
    databaseUrl = await freshDatabase()
    args.push('--database', databaseUrl)
    env.ZSTACK_DATABASE_PASSWORD = ''
  }
  if (bus) {
    const broker = scope.add(await startRabbitmq({ nodes: 1 }))
    const [{ host, port } = { host: '', port: 0 }] = broker.endpoints
    args.push('--bus', `amqp://${broker.user}@${host}:${port}`)
    env.ZSTACK_BUS_PASSWORD = broker.password
  }
  return { options: { args, env } satisfies ServerOptions, databaseUrl }
}

// One server for all runs; it ends with the process.
let mariadb: ReturnType<typeof startMariadbServer> | undefined

async function freshDatabase(): Promise<string> {
  mariadb ??= startMariadbServer({ durable: true })
  const { host, port } = await mariadb
  const database = `bench_${newUuid()}`
  const connection = await createConnection({ host, port, user: 'root' })
  await connection.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`)
  await connection.end()
  return `mysql://root@${host}:${port}/${database}`
}
