import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { insert, type Migration, openSqlite, remove, update } from '#db'
import { CloudError, type Disposable, defineError, newUuid, Scope, silentLogger, sysErrors } from '#kernel'
import { authenticator, type Cloud, createCloud, definePlugin, type PluginContext } from '#plugin-host'
import { createHttpServer, type HttpServerOptions } from '../server.ts'
import * as contract from './thing-contract.ts'

export const adminPassword = 'password'
export const goodSession = '36c27e8ff05c4780bf6d2fa65700f22e'
const adminUuid = '36c27e8ff05c4780bf6d2fa65700f22e'
const sessionExpired = defineError('ID.1001', 'Session is invalid')
const wrongCredentials = defineError('ID.1000', 'Authentication failed')

/** A real cloud with one small plugin, behind a real HTTP server on a free port of the loopback. */
export interface ThingCloud extends Disposable {
  readonly cloud: Cloud
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  /** Ends every WaitThing. */
  release(): void
  isReady: boolean
}

export async function startThingCloud(options: Partial<HttpServerOptions> = {}): Promise<ThingCloud> {
  const scope = new Scope()
  const dataDir = await mkdtemp(join(tmpdir(), 'zstack-http-'))
  scope.onDispose(() => rm(dataDir, { recursive: true, force: true }))
  const gate = Promise.withResolvers<void>()
  const state = { isReady: true, gate }
  const cloud = await createCloud({
    plugins: [thingPlugin(state)],
    db: openSqlite(join(dataDir, 'test.db')),
    node: { uuid: newUuid(), address: '127.0.0.1', dataDir, version: '1.0.0' },
    log: silentLogger,
  })
  scope.onDispose(() => cloud.stop())
  await cloud.start()
  const { dispatcher, jobs } = cloud
  const resources = cloud.context.query.registry.all
  const server = scope.add(
    createHttpServer({ log: silentLogger, dispatcher, jobs, resources, version: '1.0.0', ...options }),
  )
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  scope.onDispose(() => gate.resolve())
  return {
    cloud,
    port,
    origin: `http://127.0.0.1:${port}`,
    release: () => gate.resolve(),
    get isReady() {
      return state.isReady
    },
    set isReady(value) {
      state.isReady = value
    },
    dispose: () => scope.dispose(),
  }
}

const migration: Migration = {
  id: '0900-thing',
  create: [
    {
      name: 'ThingVO',
      columns: {
        uuid: 'uuid',
        name: 'string',
        description: 'text?',
        type: 'word',
        size: 'long',
        password: 'text?',
        internalNote: 'text?',
        createDate: 'time',
      },
      primaryKey: ['uuid'],
    },
    { name: 'BigThingVO', columns: { uuid: 'uuid', weight: 'int' }, primaryKey: ['uuid'] },
    {
      name: 'PartVO',
      columns: { uuid: 'uuid', thingUuid: 'uuid', name: 'string', createDate: 'time' },
      primaryKey: ['uuid'],
    },
  ],
}

interface State {
  readonly isReady: boolean
  readonly gate: PromiseWithResolvers<void>
}

function thingPlugin(state: State) {
  return definePlugin({
    name: 'thing',
    resources: [contract.thing, contract.bigThing, contract.part],
    migrations: [migration],
    setup: (ctx) => {
      ctx.provide(authenticator, 'session', async (sessionUuid) => {
        if (sessionUuid === goodSession) return { accountUuid: adminUuid }
        throw new CloudError(sessionExpired, 'Session expired')
      })
      ctx.queries(contract.queryThing)
      handleThings(ctx)
      handleOthers(ctx, state)
    },
  })
}

function handleThings(ctx: PluginContext): void {
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(contract.thing, uuid) })
  ctx.handle(contract.createThing, async (input) => {
    const uuid = input.resourceUuid ?? newUuid()
    const { name, description, size, type, password } = input
    const createDate = new Date(2017, 10, 14, 14, 20, 57).getTime()
    const row = { uuid, name, description, size, type, password, internalNote: 'internal', createDate }
    await ctx.db.write(async (tx) => {
      await insert(tx, contract.thing, row)
      if (type === 'Big') await insert(tx, contract.bigThing, { uuid, weight: 7 })
      for (const partName of input.partNames ?? [])
        await insert(tx, contract.part, { uuid: newUuid(), thingUuid: uuid, name: partName, createDate })
    })
    return view(uuid)
  })
  ctx.handle(contract.updateThing, async ({ uuid, name }) => {
    if (name !== undefined) await ctx.db.write((tx) => update(tx, contract.thing, { uuid }, { name }))
    return view(uuid)
  })
  ctx.handle(contract.breakThing, async () => {
    const cause = new CloudError(sysErrors.ioError, 'the disk is <full>')
    throw new CloudError(sysErrors.operationFailed, 'it broke', { cause })
  })
  ctx.handle(contract.deleteThing, async ({ uuid }) => {
    await ctx.db.write((tx) => remove(tx, contract.thing, { uuid }))
    return {}
  })
}

function handleOthers(ctx: PluginContext, state: State): void {
  ctx.handle(contract.echoThing, async (input) => {
    const detail = input.at === undefined ? undefined : { since: input.at }
    return { echo: input, at: input.at, detail }
  })
  ctx.handle(contract.validateThing, async ({ uuid }) => ({ valid: uuid === 'good' }))
  ctx.handle(contract.attachThing, async (input) => ({ echo: input }))
  ctx.handle(contract.waitThing, async () => {
    await state.gate.promise
    return {}
  })
  ctx.handle(contract.crashThing, async () => {
    throw new TypeError('a bug')
  })
  ctx.handle(contract.isReadyToGo, async () => {
    if (!state.isReady) throw new CloudError(sysErrors.notReady, 'not yet')
    return {}
  })
  ctx.handle(contract.logInByAccount, async ({ accountName, password }) => {
    const expected = createHash('sha512').update(adminPassword).digest('hex')
    if (accountName !== 'admin' || password !== expected)
      throw new CloudError(wrongCredentials, 'wrong account name or password')
    const createDate = Date.now()
    const inventory = { uuid: goodSession, accountUuid: adminUuid, userUuid: adminUuid, createDate }
    return { inventory: { ...inventory, expiredDate: createDate + 7_200_000 } }
  })
}
