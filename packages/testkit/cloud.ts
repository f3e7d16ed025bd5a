import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSimulatedWorld, type SimulatedWorld } from '#agents/simulator/world.ts'
import type { CallInput } from '#client'
import type { Api, Output } from '#contract'
import { type Database, find } from '#db'
import { type Logger, newUuid, silentLogger, waitFor } from '#kernel'
import { type Cloud, type CloudOptions, createCloud, type Plugin } from '#plugin-host'
import { host } from '#plugins/host/contract/resources.ts'
import { logInByAccount } from '#plugins/identity/contract/session-apis.ts'
import { sentForm } from '#plugins/identity/password.ts'
import { createIdentityPlugin } from '#plugins/identity/plugin.ts'
import { createSimulatorPlugin } from '#plugins/simulator/plugin.ts'
import type { QueryRequest } from '#query'
import { allPlugins } from '#server/plugins.ts'
import { openTestDatabase } from './test-database.ts'

/** A whole management process on simulators, in the test's own process. */
export interface TestCloud {
  readonly cloud: Cloud
  readonly nodeUuid: string
  readonly world: SimulatedWorld
  readonly dataDir: string
  /** Calls an API as admin, through the same door as any client; jobs are awaited. What is missing gets its default, or is refused. */
  call<A extends Api>(api: A, input: Partial<CallInput<A>>): Promise<Output<A>>
  /** Inventories of a query. */
  query(api: Api, request?: Partial<QueryRequest>): Promise<Record<string, unknown>[]>
  /** Resolves when every host is connected again after a start: nothing is under way that nobody asked for. */
  settled(): Promise<void>
  /** Stops the process and starts another on the same data; the simulated world goes on. */
  restart(): Promise<void>
  dispose(): Promise<void>
}

type PassedOn = Pick<CloudOptions, 'observe' | 'journal' | 'transport' | 'heartbeatMs' | 'onFenced'>

export interface TestCloudOptions extends Partial<PassedOn> {
  /** Stands before the database, to cut it off. */
  readonly wrap?: (db: Database) => Database
  readonly world?: SimulatedWorld
  /** Runs on data that exist; they are left there. */
  readonly data?: { readonly dir: string; readonly nodeUuid: string }
  readonly plugins?: (simulator: Plugin) => readonly Plugin[]
  readonly log?: Logger
}

/** Passwords that take long to guess would take half of the time of a start, and there are thousands of them in a test run. */
const cheapIdentity = createIdentityPlugin({ memory: 64, passes: 1 })
const cheaply = (plugin: Plugin): Plugin => (plugin.name === 'identity' ? cheapIdentity : plugin)

export async function createTestCloud(options: TestCloudOptions = {}): Promise<TestCloud> {
  const dataDir = options.data?.dir ?? (await mkdtemp(join(tmpdir(), 'zstack-cloud-')))
  const world = options.world ?? createSimulatedWorld()
  const node = { uuid: options.data?.nodeUuid ?? newUuid(), address: '127.0.0.1', dataDir, version: 'test' }
  let running: { cloud: Cloud; session: string }
  let bootedAt = Date.now()
  const boot = async () => {
    const plugins = (options.plugins ?? allPlugins)(createSimulatorPlugin(world)).map(cheaply)
    const db = await openTestDatabase(dataDir)
    const { world: _, data: __, plugins: ___, wrap, log = silentLogger, ...passedOn } = options
    const cloud = await createCloud({ ...passedOn, plugins, db: wrap?.(db) ?? db, node, log })
    bootedAt = Date.now()
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
    nodeUuid: node.uuid,
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
    settled: async () => {
      const { db } = running.cloud.context
      const isConnected = async () =>
        (await find(db, host, {})).every((row) => row.status === 'Connected' && row.lastOpDate >= bootedAt)
      await waitFor('every host is connected again', isConnected, { intervalMs: 2 })
    },
    restart: async () => {
      await running.cloud.stop()
      await boot()
    },
    dispose: async () => {
      await running.cloud.stop()
      if (options.data === undefined) await rm(dataDir, { recursive: true, force: true })
    },
  }
}
