import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type StorageCloud, startStorageCloud } from '#plugins/backup-storage/cases/storage-cloud.ts'
import { deleteBackupStorage, queryBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { queryUserTag } from '#plugins/tag/contract/apis.ts'
import type { WorkflowMoment, WorkflowObserver } from '#workflow'
import { addImage, queryImage } from '../contract/apis.ts'
import { deleteImage, expungeImage } from '../contract/deletion-apis.ts'
import { imagePlugin } from '../plugin.ts'

const addSteps = ['insert-image', 'tag-image', 'fetch-to-backup-storage', 'download-image', 'finish-image']

async function withCloud(
  observe: WorkflowObserver,
  work: (env: StorageCloud) => Promise<void>,
): Promise<void> {
  const env = await startStorageCloud([imagePlugin], { observe })
  try {
    await work(env)
  } finally {
    await env.stop()
  }
}

async function add(env: StorageCloud): Promise<string> {
  const backupStorageUuids = [(await env.addStorage()).uuid]
  const url = 'http://images.example/linux.qcow2'
  const input = { name: 'linux', url, format: 'qcow2', backupStorageUuids, userTags: ['golden'] }
  return ((await env.call(addImage, input)).inventory as unknown as { uuid: string }).uuid
}

async function assertClean(env: StorageCloud): Promise<void> {
  assert.deepEqual(await env.list(queryImage), [])
  assert.deepEqual(await env.list(queryUserTag), [])
  for (const server of env.servers.values()) assert.deepEqual(server.state.files.list('/'), [])
  assert.deepEqual(await env.cloud.context.workflows.unfinished(), [])
}

/** Makes one step fail, before or after its effect, and every undo run twice. */
function failing(step: string, phase: WorkflowMoment['phase']): WorkflowObserver {
  return async (moment) => {
    if (moment.step === step && moment.phase === phase) throw new Error(`injected into ${step}`)
    return moment.phase === 'undone' ? 'repeat' : undefined
  }
}

describe('laws of the image workflows', () => {
  for (const phase of ['journalled', 'ran'] as const) {
    for (const step of addSteps) {
      it(`adding leaves nothing when ${step} fails at ${phase}`, () =>
        withCloud(failing(step, phase), async (env) => {
          await assert.rejects(add(env), (error: Error) => {
            assert.match(`${error.message} ${String(error.cause)}`, new RegExp(`injected into ${step}`))
            return true
          })
          await assertClean(env)
        }))
    }
  }

  it('every step may run twice', () =>
    withCloud(
      async () => 'repeat' as const,
      async (env) => {
        const uuid = await add(env)
        const [image] = (await env.list(queryImage)) as unknown as {
          status: string
          backupStorageRefs: unknown[]
        }[]
        assert.deepEqual([image?.status, image?.backupStorageRefs.length], ['Ready', 1])
        assert.equal((await env.list(queryUserTag)).length, 1)
        await env.call(deleteImage, { uuid })
        await env.call(expungeImage, { imageUuid: uuid })
        await assertClean(env)
        const [storage] = (await env.list(queryBackupStorage)) as unknown as { uuid: string }[]
        assert.ok(storage)
        await env.call(deleteBackupStorage, { uuid: storage.uuid })
        assert.deepEqual(await env.list(queryBackupStorage), [])
      },
    ))

  for (const step of ['remove-copy', 'remove-record']) {
    it(`an expunge that failed after ${step} is finished by the next one`, () => {
      const injected = { left: 1 }
      const observe: WorkflowObserver = async (moment) => {
        if (moment.step !== step || moment.phase !== 'ran' || injected.left-- <= 0) return undefined
        throw new Error(`injected into ${step}`)
      }
      return withCloud(observe, async (env) => {
        const uuid = await add(env)
        await env.call(deleteImage, { uuid })
        await assert.rejects(env.call(expungeImage, { imageUuid: uuid }), /injected into/)
        if (step === 'remove-copy') await env.call(expungeImage, { imageUuid: uuid })
        await assertClean(env)
      })
    })
  }
})
