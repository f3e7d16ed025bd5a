import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { AgentTransport, ServerAccess } from '#agent-deploy'
import { createLocalAgent } from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import {
  createSimulatedBackupStorage,
  type SimulatedBackupStorage,
} from '#agents/simulator/backup-storage.ts'
import type { Input } from '#contract'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { type StorageCloud, startStorageCloud } from '#plugins/backup-storage/cases/storage-cloud.ts'
import { deleteBackupStorage, queryBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { imageAddress } from '#plugins/backup-storage/contract/messages.ts'
import { queryGCJob, triggerGCJob } from '#plugins/garbage-collector/contract/apis.ts'
import { tableNames, testDialect } from '#testkit'
import {
  addSftpBackupStorage,
  querySftpBackupStorage,
  reconnectSftpBackupStorage,
  updateSftpBackupStorage,
} from '../contract/apis.ts'
import { createSftpPlugin } from '../plugin.ts'

const access = {
  hostname: '10.9.0.2',
  username: 'root',
  password: ' correct horse ',
  url: '/images',
  name: 'sftp',
}

describe('SFTP backup storage', () => {
  let env: StorageCloud
  let server: SimulatedBackupStorage
  let deployed: ServerAccess[]
  let removed: string[]
  let version: string
  let unreachable: boolean

  /** One server that takes one password, and runs whatever agent is deployed. */
  const transport: AgentTransport = {
    deploy: async (to, { onProgress }) => {
      deployed.push(to)
      onProgress('connecting')
      if (to.password !== access.password)
        throw new CloudError(sysErrors.operationFailed, 'the password is wrong')
      return { hostKey: 'SHA256:key', agentVersion: version }
    },
    remove: async ({ address }) => {
      if (unreachable) throw new CloudError(sysErrors.ioError, 'no route to host')
      removed.push(address)
      server = createSimulatedBackupStorage()
    },
    connect: async () => createLocalAgent(backupStorageCalls, server.handlers),
    version: async () => version,
  }

  beforeEach(async () => {
    server = createSimulatedBackupStorage()
    deployed = []
    removed = []
    version = 'simulated'
    unreachable = false
    env = await startStorageCloud([createSftpPlugin(() => transport)], {
      arrange: ({ context }) => context.config.set('backupStorage', 'ping.interval', 0.02),
    })
  })
  afterEach(() => env.stop())

  const add = async (input: Partial<Input<typeof addSftpBackupStorage>> = {}) =>
    (await env.call(addSftpBackupStorage, { ...access, ...input })).inventory as unknown as Record<
      string,
      unknown
    > & {
      uuid: string
    }

  it('is Connected once its agent is there, and shows no secret', async () => {
    const shown = await add()
    assert.deepEqual(
      [shown.status, shown.hostname, shown.sshPort, shown.url],
      ['Connected', '10.9.0.2', 22, '/images'],
    )
    assert.deepEqual(
      deployed.map(({ password, hostKey }) => [password, hostKey]),
      [[access.password, undefined]],
    )
    const [queried] = await env.list(querySftpBackupStorage)
    for (const inventory of [shown, queried ?? {}])
      for (const name of ['password', 'sealedPassword', 'hostKey']) assert.ok(!(name in inventory), name)
    const { db } = env.cloud.context
    for (const table of await tableNames(db))
      assert.ok(!JSON.stringify(await db.all(`SELECT * FROM ${table}`, [])).includes('correct horse'), table)
    // SQLite must not keep it beside the rows either.
    for (const file of testDialect === 'sqlite' ? ['zstack.db', 'zstack.db-wal'] : [])
      assert.ok(!(await readFile(join(env.dataDir, file))).includes('correct horse'), file)
    const { bus } = env.cloud.context
    assert.deepEqual(await bus.call(imageAddress, { backupStorageUuid: shown.uuid }), {
      address: '10.9.0.2',
      port: 7171,
    })
  })

  it('leaves nothing when it cannot be deployed, and says why', async () => {
    await assert.rejects(add({ password: 'wrong' }), /the password is wrong/)
    assert.deepEqual(await env.list(queryBackupStorage), [])
    assert.deepEqual(await env.list(querySftpBackupStorage), [])
    assert.deepEqual(removed, ['10.9.0.2'])
    unreachable = true
    await assert.rejects(add({ password: 'wrong' }), /the password is wrong/)
    assert.deepEqual(await env.cloud.context.workflows.unfinished(), [])
  })

  it('refuses a second backup storage on one server, and what it cannot do', async () => {
    await add()
    await assert.rejects(add({ name: 'other' }), /10\.9\.0\.2 is the backup storage/)
    const bad = [{ url: '/images/../etc' }, { url: 'images' }, { hostname: '-oProxyCommand=x' }]
    for (const input of bad)
      await assert.rejects(add({ hostname: '10.9.0.3', ...input }), { code: 'SYS.1007' })
    await assert.rejects(add({ hostname: '10.9.0.3', importImages: true }), /importImages/)
    assert.equal(deployed.length, 1)
  })

  it('reconnects with the stored password to the server it knows', async () => {
    const { uuid } = await add()
    await env.call(reconnectSftpBackupStorage, { uuid })
    const { password, hostKey } = deployed.at(-1) ?? {}
    assert.deepEqual([password, hostKey], [access.password, 'SHA256:key'])
    await env.cloud.context.config.set('backupStorage', 'connection.autoReconnectOnError', false)
    await env.call(updateSftpBackupStorage, { uuid, password: 'wrong', name: 'renamed' })
    await assert.rejects(env.call(reconnectSftpBackupStorage, { uuid }), (error: CloudError) => {
      assert.equal(error.code, 'BS.SFTP.1000')
      assert.match(String(error.cause), /the password is wrong/)
      return true
    })
    const [shown] = (await env.list(queryBackupStorage)) as unknown as { name: string; status: string }[]
    assert.deepEqual([shown?.name, shown?.status], ['renamed', 'Disconnected'])
  })

  it('forgets the old server and its key when it moves', async () => {
    const { uuid } = await add()
    await env.call(updateSftpBackupStorage, { uuid, hostname: '10.9.0.9' })
    assert.deepEqual(removed, ['10.9.0.2'])
    // By the ping or by this call, whichever is first: the old server's key must not be asked of the new one.
    await env.call(reconnectSftpBackupStorage, { uuid })
    const first = deployed.find(({ address }) => address === '10.9.0.9')
    assert.deepEqual([first?.uuid, first?.hostKey], [uuid, undefined])
  })

  it('gets its agent upgraded when this management node has a newer one', async () => {
    await add()
    version = 'newer'
    // The simulated agent keeps its version: the reconnect that upgrades is what shows.
    await waitFor('the upgrade', () => deployed.length > 1)
    version = 'simulated'
    const isConnected = async () => {
      const [shown] = (await env.list(queryBackupStorage)) as unknown as { status: string }[]
      return shown?.status === 'Connected'
    }
    await waitFor('the connection', isConnected)
  })

  it('is deleted with its agent, also when the server is gone', async () => {
    const first = await add()
    await env.call(deleteBackupStorage, { uuid: first.uuid })
    assert.deepEqual([await env.list(querySftpBackupStorage), removed], [[], ['10.9.0.2']])
    const second = await add()
    assert.equal(second.status, 'Connected')
    unreachable = true
    await env.call(deleteBackupStorage, { uuid: second.uuid })
    assert.deepEqual(await env.list(querySftpBackupStorage), [])
  })

  it('leaves the agent of a server that is away to the collector, which never shows the password', async () => {
    const { uuid } = await add()
    unreachable = true
    await env.call(deleteBackupStorage, { uuid })
    const jobs = await jobsOf()
    assert.deepEqual(
      jobs.map(({ name, status, runnerClass }) => [name, status, runnerClass]),
      [
        [
          'the agent of the former image server at 10.9.0.2; the files of its images stay in any case',
          'Idle',
          'sftp.agent',
        ],
      ],
    )
    assert.ok(!JSON.stringify(jobs).includes('correct horse') && !('sealed' in (jobs[0] ?? {})))
    for (const row of await env.cloud.context.db.all('SELECT * FROM GarbageCollectorVO', []))
      assert.ok(!JSON.stringify(row).includes('correct horse'))
    const job = { uuid: String(jobs[0]?.uuid) }
    await assert.rejects(env.call(triggerGCJob, job), (error: CloudError) => {
      assert.match(
        error.details,
        /the former image server at 10\.9\.0\.2.* is still there; it is tried again/,
      )
      assert.match(String(error.cause), /no route to host/)
      return true
    })
    const [failed] = await jobsOf()
    assert.deepEqual([failed?.tries, failed?.lastError], [1, 'no route to host'])
    unreachable = false
    await env.call(triggerGCJob, job)
    assert.deepEqual([removed, await jobsOf()], [['10.9.0.2'], []])
  })

  it('lets an agent be that is wanted again at the same place', async () => {
    const { uuid } = await add()
    unreachable = true
    await env.call(deleteBackupStorage, { uuid })
    unreachable = false
    await add({ resourceUuid: uuid })
    const [job] = await jobsOf()
    await env.call(triggerGCJob, { uuid: String(job?.uuid) })
    assert.deepEqual([removed, await jobsOf()], [[], []])
  })

  const jobsOf = async () => (await env.list(queryGCJob)) as unknown as Record<string, unknown>[]
})
