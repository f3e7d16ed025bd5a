import type { TestContext } from 'node:test'
import { defineApi, defineQuery, defineResource, optional, ref, text } from '#contract'
import { type Database, insert, type Migration, remove } from '#db'
import { CloudError, defineError, silentLogger } from '#kernel'
import { defineStep, defineWorkflow } from '#workflow'
import { authenticator, type Cloud, type CloudOptions, createCloud } from './host.ts'
import { definePlugin, type Plugin } from './plugin.ts'

/** The smallest cloud: things are created by a workflow and deleted; hooks tell tests what happens. */

export const thing = defineResource({
  name: 'Thing',
  className: 'x.Thing',
  fields: { uuid: text('u'), name: text('n') },
})
const migrations: readonly Migration[] = [
  {
    id: '0100-thing',
    create: [{ name: 'ThingVO', columns: { uuid: 'uuid', name: 'string' }, primaryKey: ['uuid'] }],
  },
]
const api = { path: '/things', summary: 's', message: 'x.APIThingMsg' }
const name = text('n', { max: 10 })
export const createThing = defineApi({
  ...api,
  name: 'CreateThing',
  input: { name },
  output: { inventory: text('i') },
})
export const deleteThing = defineApi({
  ...api,
  name: 'DeleteThing',
  method: 'DELETE',
  input: { uuid: ref('ThingVO', 'u', { successIfMissing: true }) },
})
export const touchThing = defineApi({
  ...api,
  name: 'TouchThing',
  input: { uuid: ref('ThingVO', 'u'), what: optional(text('w')) },
})
export const getThing = defineApi({
  ...api,
  name: 'GetThing',
  kind: 'sync',
  method: 'GET',
  input: { what: text('w') },
})
export const queryThing = defineQuery({ ...api, name: 'QueryThing', resource: thing })

/** What the handlers do; tests replace members. */
export interface Behaviour {
  touch: (what: string | undefined, signal: AbortSignal) => Promise<unknown>
  insertThing: () => Promise<void>
  reply: (uuid: string) => unknown
}

export function tinyPlugin(behaviour: Behaviour): Plugin {
  return definePlugin({
    name: 'thing',
    resources: [thing],
    migrations,
    setup(ctx) {
      const store = defineStep<{ uuid: string; name: string }, void>({
        name: 'store',
        run: async (row) => {
          await ctx.db.write((tx) => insert(tx, thing, row))
          await behaviour.insertThing()
        },
        undo: async ({ uuid }) => void (await ctx.db.write((tx) => remove(tx, thing, { uuid }))),
      })
      const flow = ctx.workflow(
        defineWorkflow('thing.create', [store], async (f, row: { uuid: string; name: string }) => {
          await f.step(store, row)
          return { inventory: behaviour.reply(row.uuid) }
        }),
      )
      ctx.provide(authenticator, 'session', async (session) => {
        if (session !== 'good') throw new CloudError(defineError('ID.1001', 'no session'), 'who are you')
        return { accountUuid: 'admin' }
      })
      const key = (input: { uuid: string }) => `thing-${input.uuid}`
      ctx.handle(createThing, (input, call) =>
        call.run(flow, { uuid: input.resourceUuid ?? '', name: input.name }),
      )
      ctx.handle(
        deleteThing,
        async ({ uuid }) => {
          if ((await ctx.db.write((tx) => remove(tx, thing, { uuid }))) === 0)
            throw new Error('deleted twice')
          return {}
        },
        { key },
      )
      ctx.handle(
        touchThing,
        async (input, call) => (await behaviour.touch(input.what, call.signal)) as never,
        { key },
      )
      ctx.handle(
        getThing,
        async ({ what }) => (await behaviour.touch(what, new AbortController().signal)) as never,
      )
      ctx.queries(queryThing)
    },
  })
}

export interface TinyCloud {
  readonly cloud: Cloud
  readonly db: Database
  readonly behaviour: Behaviour
}

const node = { uuid: 'node', address: '127.0.0.1', dataDir: '/nowhere', version: '0' }

export async function tinyCloud(
  t: TestContext,
  db: Database,
  options: Partial<CloudOptions> = {},
): Promise<TinyCloud> {
  const behaviour: Behaviour = {
    touch: async () => ({}),
    insertThing: async () => {},
    reply: (uuid) => ({ uuid }),
  }
  const plugins = [tinyPlugin(behaviour), ...(options.plugins ?? [])]
  const cloud = await createCloud({ log: silentLogger, ...options, node, db, plugins })
  t.after(() => cloud.stop())
  return { cloud, db, behaviour }
}
