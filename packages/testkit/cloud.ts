import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSimulatedWorld, type SimulatedWorld } from '#agents/simulator/world.ts'
import type { CallInput } from '#client'
import type { Api, Output } from '#contract'
import { openSqlite } from '#db'
import { type Logger, newUuid, silentLogger } from '#kernel'
import { type Cloud, type CloudOptions, createCloud, type Plugin } from '#plugin-host'
import { logInByAccount } from '#plugins/identity/contract/session-apis.ts'
import { sentForm } from '#plugins/identity/password.ts'
import { createSimulatorPlugin } from '#plugins/simulator/plugin.ts'
import type { QueryRequest } from '#query'
import { allPlugins } from '#server/plugins.ts'

/** A whole management process on simulators, in the test's own process. */
export interface TestCloud {
  readonly cloud: Cloud
  readonly world: SimulatedWorld
  readonly dataDir: string
  /** Calls an API as admin, through the same door as any client; jobs are awaited. What is missing gets its default, or is refused. */
  call<A extends Api>(api: A, input: Partial<CallInput<A>>): Promise<Output<A>>
  /** Inventories of a query. */
  query(api: Api, request?: Partial<QueryRequest>): Promise<Record<string, unknown>[]>
  /** Stops the process and starts another on the same data; the simulated world goes on. */
  restart(): Promise<void>
  dispose(): Promise<void>
}

export interface TestCloudOptions extends Partial<Pick<CloudOptions, 'observe' | 'journal'>> {
  readonly world?: SimulatedWorld
  readonly plugins?: (simulator: Plugin) => readonly Plugin[]
  readonly log?: Logger
}

export async function createTestCloud(options: TestCloudOptions = {}): Promise<TestCloud> {
  const dataDir = await mkdtemp(join(tmpdir(), 'zstack-cloud-'))
  const world = options.world ?? createSimulatedWorld()
  const node = { uuid: newUuid(), address: '127.0.0.1', dataDir, version: 'test' }
  let running: { cloud: Cloud; session: string }
  const boot = async () => {
    const plugins = (options.plugins ?? allPlugins)(createSimulatorPlugin(world))
    const { observe, journal } = options
    const cloud = await createCloud({
      plugins,
      db: openSqlite(join(dataDir, 'zstack.db')),
      node,
      log: options.log ?? silentLogger,
      ...(observe === undefined ? {} : { observe }),
      ...(journal === undefined ? {} : { journal }),
    })
    await cloud.start()
    const params = { accountName: 'admin', password: sentForm('password') }
    const reply = await cloud.dispatcher.call({ api: logInByAccount, params })
    running = { cloud, session: String((reply.inventory as { uuid: string }).uuid) }
  }
  await boot()
  return {
    get cloud() {
      return running.cloud
    },
    world,
    dataDir,
    call: async (api, input) => {
      const request = { api, params: input as Record<string, unknown>, sessionUuid: running.session }
      return (await running.cloud.dispatcher.call(request)) as never
    },
    query: async (api, request = {}) => {
      const query = { conditions: [], ...request }
      const reply = await running.cloud.dispatcher.call({
        api,
        params: {},
        query,
        sessionUuid: running.session,
      })
      return (reply.inventories ?? []) as Record<string, unknown>[]
    },
    restart: async () => {
      await running.cloud.stop()
      await boot()
    },
    dispose: async () => {
      await running.cloud.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
