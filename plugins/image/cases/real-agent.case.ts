import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { promisify } from 'node:util'
import { createLocalAgent } from '#agent-rpc'
import { backupStorageCalls, initBackupStorage } from '#agents/backup-storage/contract/index.ts'
import { createBackupStorageHandlers } from '#agents/backup-storage/handlers.ts'
import { newUuid, silentLogger } from '#kernel'
import { definePlugin } from '#plugin-host'
import { startStorageCloud, storageRow } from '#plugins/backup-storage/cases/storage-cloud.ts'
import { deleteBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { backupStorageConnector } from '#plugins/backup-storage/contract/extensions.ts'
import { addBackupStorage } from '#plugins/backup-storage/contract/messages.ts'
import { addImage } from '../contract/apis.ts'
import { deleteImage, expungeImage } from '../contract/deletion-apis.ts'
import { imagePlugin } from '../plugin.ts'

const run = promisify(execFile)

/** The handlers of the real agent, in this process. */
const realAgents = definePlugin({
  name: 'real-agents',
  setup(ctx) {
    const stateDirectory = join(ctx.node.dataDir, 'agent')
    const { handlers } = createBackupStorageHandlers({
      stateDirectory,
      agentVersion: 'v1',
      log: silentLogger,
    })
    const agent = createLocalAgent(backupStorageCalls, handlers)
    ctx.provide(backupStorageConnector, 'RealBackupStorage', {
      client: async () => agent,
      connect: ({ uuid, url }) => agent.call(initBackupStorage, { root: url, storageUuid: uuid }),
      imageAddress: async () => ({ address: '127.0.0.1', port: 7171 }),
      forget: async () => undefined,
    })
  },
})

it('an image goes through the real agent: fetched, checked, refused when it is not what was said, expunged', async () => {
  const env = await startStorageCloud([imagePlugin, realAgents])
  try {
    const root = join(env.dataDir, 'images')
    const source = join(env.dataDir, 'source')
    await mkdir(source)
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(source, 'good.qcow2'), '64M'])
    await run('qemu-img', ['create', '-q', '-f', 'raw', join(source, 'raw.img'), '1M'])
    await env.cloud.context.config.set('image', 'download.filePrefixes', source)
    const storage = { ...storageRow(newUuid(), 'real'), url: root, type: 'RealBackupStorage' }
    const { uuid, availableCapacity } = await env.cloud.context.bus.call(addBackupStorage, { storage })
    assert.ok(availableCapacity > 0)

    const input = { name: 'linux', format: 'qcow2', backupStorageUuids: [uuid] }
    const files = async () =>
      (await readdir(root, { recursive: true })).filter((path) => path.endsWith('.qcow2'))
    const bad = env.call(addImage, { ...input, url: `file://${source}/raw.img` })
    await assert.rejects(bad, (error: Error) => {
      assert.match(error.message, /BS\.1000/)
      assert.match(String(error.cause), /qcow2/)
      return true
    })
    assert.deepEqual(await files(), [])

    const added = await env.call(addImage, { ...input, url: `file://${source}/good.qcow2` })
    const image = added.inventory as unknown as {
      uuid: string
      status: string
      size: number
      actualSize: number
    }
    const [file] = await files()
    assert.ok(file)
    assert.deepEqual([image.status, image.size], ['Ready', 64 * 2 ** 20])
    assert.equal(image.actualSize, (await stat(join(root, file))).size)

    await assert.rejects(env.call(deleteBackupStorage, { uuid }), /holds images: linux/)
    await env.call(deleteImage, { uuid: image.uuid })
    await env.call(expungeImage, { imageUuid: image.uuid })
    assert.deepEqual(await files(), [])
    await env.call(deleteBackupStorage, { uuid })
  } finally {
    await env.stop()
  }
})
