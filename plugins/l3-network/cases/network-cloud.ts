import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Api, Resource } from '#contract'
import { insert, type Migration } from '#db'
import { newUuid, silentLogger } from '#kernel'
import { authenticator, type Cloud, createCloud, definePlugin, type Plugin } from '#plugin-host'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { clusterMigrations } from '#plugins/cluster/migrations.ts'
import { garbageCollectorPlugin } from '#plugins/garbage-collector/plugin.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { hostMigrations } from '#plugins/host/migrations.ts'
import {
  addTags,
  checkTags,
  removeSystemTag,
  removeTags,
  systemTagsOf,
} from '#plugins/tag/contract/messages.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import { vmMigrations } from '#plugins/vm/migrations.ts'
import { zone } from '#plugins/zone/contract/resources.ts'
import { zoneMigrations } from '#plugins/zone/migrations.ts'
import { openTestDatabase } from '#testkit'
import type { WorkflowObserver } from '#workflow'

/** A cloud of the plugins under test; of all others there are only the rows, put in by the test. */
export interface NetworkCloud {
  readonly cloud: Cloud
  readonly tags: ReadonlyMap<string, readonly string[]>
  call(api: Api, params: Readonly<Record<string, unknown>>): Promise<Inventory>
  /** Adds a row, with values for what the test does not care about, and returns its uuid. */
  row(resource: Resource, values: Readonly<Record<string, unknown>>): Promise<string>
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects; the assertion that follows is the check
export type Inventory = Record<string, any>

/** A plugin that has rows and does nothing. */
export function rowsOnly(
  name: string,
  resources: readonly Resource[],
  migrations: readonly Migration[],
): Plugin {
  return definePlugin({ name, resources, migrations, setup: () => {} })
}

export async function startNetworkCloud(
  t: TestContext,
  plugins: readonly Plugin[],
  observe: WorkflowObserver = () => undefined,
): Promise<NetworkCloud> {
  const dataDir = await mkdtemp(join(tmpdir(), 'zs-networks-'))
  const tags = new Map<string, string[]>()
  const cloud = await createCloud({
    plugins: [session, tagStub(tags), ...rowPlugins, ...plugins],
    db: await openTestDatabase(dataDir),
    node: { uuid: newUuid(), address: '127.0.0.1', dataDir, version: 'test' },
    log: silentLogger,
    observe,
  })
  t.after(async () => {
    await cloud.stop()
    await rm(dataDir, { recursive: true })
  })
  await cloud.start()
  return {
    cloud,
    tags,
    call: async (api, params) => {
      const reply: Inventory = await cloud.dispatcher.call({ api, params, sessionUuid: 'test' })
      return reply.inventory ?? reply
    },
    row: async (resource, values) => {
      const row = { ...fillers(resource), ...values }
      await cloud.context.db.write((tx) => insert(tx, resource, row as never))
      return String(row.uuid)
    },
  }
}

const session = definePlugin({
  name: 'session',
  setup: (ctx) => ctx.provide(authenticator, 'session', async () => ({ accountUuid: newUuid() })),
})

const rowPlugins = [
  rowsOnly('zone', [zone], zoneMigrations),
  rowsOnly('cluster', [cluster], clusterMigrations),
  rowsOnly('host', [host], hostMigrations),
  rowsOnly('vm', [vmInstance, vmNic], vmMigrations),
  garbageCollectorPlugin,
]

function tagStub(tags: Map<string, string[]>): Plugin {
  return definePlugin({
    name: 'tag',
    setup(ctx) {
      ctx.serve(checkTags, async () => {})
      ctx.serve(addTags, async ({ resourceUuid, systemTags }) => {
        tags.set(resourceUuid, [...(tags.get(resourceUuid) ?? []), ...(systemTags ?? [])])
      })
      ctx.serve(removeTags, async ({ resourceUuid }) => void tags.delete(resourceUuid))
      ctx.serve(removeSystemTag, async ({ resourceUuid, tag }) => {
        tags.set(
          resourceUuid,
          (tags.get(resourceUuid) ?? []).filter((other) => other !== tag),
        )
      })
      ctx.serve(systemTagsOf, async ({ resourceUuid }) => tags.get(resourceUuid) ?? [])
    },
  })
}

function fillers(resource: Resource): Record<string, unknown> {
  const required = Object.entries(resource.fields).filter(([, field]) => field.required)
  const byKind: Readonly<Record<string, unknown>> = { string: 'x', boolean: false }
  const row = Object.fromEntries(required.map(([name, field]) => [name, byKind[field.kind] ?? 0]))
  return 'uuid' in resource.fields ? { ...row, uuid: newUuid() } : row
}
