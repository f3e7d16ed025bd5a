import { find, findOne, insert, oneOf, remove, type Tx, update } from '#db'
import { CloudError, describeError, type ErrorBody, fromErrorBody, sysErrors, toErrorBody } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { backupStorageErrors } from '#plugins/backup-storage/contract/errors.ts'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { reasonNotUsable } from '#plugins/backup-storage/contract/states.ts'
import { addTags, removeTags } from '#plugins/tag/contract/messages.ts'
import { defineStep, defineWorkflow, type Workflow } from '#workflow'
import { type Image, image, imageBackupStorageRef } from './contract/resources.ts'
import { imageStatus } from './contract/states.ts'
import type { Copies, Download, ImageFacts } from './copies.ts'

export interface AddInput {
  readonly image: Image
  readonly downloads: readonly Download[]
  readonly systemTags?: readonly string[] | undefined
  readonly userTags?: readonly string[] | undefined
}

type Fetched =
  | { readonly backupStorageUuid: string; readonly facts: ImageFacts }
  | { readonly backupStorageUuid: string; readonly error: ErrorBody }

/** Adds an image; gives its inventory. It is there when at least one backup storage has it, else nothing of it is left. */
export type AddWorkflow = Workflow<AddInput, { readonly inventory: unknown }>

export function createAddWorkflow(ctx: PluginContext, copies: Copies): AddWorkflow {
  const steps = createSteps(ctx, copies)
  const { insertRows, tag, fetch, finish } = steps
  return defineWorkflow('image.add', [insertRows, tag, fetch, finish], async (flow, input: AddInput) => {
    const { uuid } = input.image
    await flow.step(insertRows, input)
    if (input.systemTags !== undefined || input.userTags !== undefined) await flow.step(tag, input)
    const fetched: Fetched[] = []
    for (const download of input.downloads) fetched.push(await flow.step(fetch, download))
    const facts = agreedFacts(input, fetched)
    const storageUuids = fetched.flatMap((one) => ('facts' in one ? [one.backupStorageUuid] : []))
    return { inventory: await flow.step(finish, { uuid, facts, storageUuids }) }
  })
}

function createSteps(ctx: PluginContext, copies: Copies) {
  const { db } = ctx
  const fetchOne = ctx.workflow(createFetchWorkflow(copies))

  const insertRows = defineStep<AddInput, null>({
    name: 'insert-image',
    run: async (input) => {
      await db.write((tx) => insertImage(tx, input))
      return null
    },
    undo: async ({ image: { uuid, createDate } }) => {
      await db.write(async (tx) => {
        // Not when the step failed because the uuid was another image's.
        if ((await remove(tx, image, { uuid, createDate, status: imageStatus.downloading })) === 0) return
        await remove(tx, imageBackupStorageRef, { imageUuid: uuid })
      })
    },
  })

  const tag = defineStep<AddInput, null>({
    name: 'tag-image',
    run: async ({ image: { uuid }, systemTags, userTags }) => {
      await ctx.bus.call(removeTags, { resourceUuid: uuid })
      await ctx.bus.call(addTags, { resourceType: 'ImageVO', resourceUuid: uuid, systemTags, userTags })
      return null
    },
    undo: ({ image: { uuid } }) => ctx.bus.call(removeTags, { resourceUuid: uuid }),
  })

  const fetch = defineStep<Download, Fetched>({
    name: 'fetch-to-backup-storage',
    run: async (download, { signal, log }) => {
      const { backupStorageUuid } = download
      try {
        return { backupStorageUuid, facts: await ctx.workflows.run(fetchOne, download) }
      } catch (error) {
        if (signal.aborted) throw error
        // One of several may fail. It has cleaned up after itself, or its own workflow goes on trying.
        log.warn(
          { backupStorageUuid, err: describeError(error) },
          'a backup storage could not fetch an image',
        )
        return { backupStorageUuid, error: toErrorBody(error) }
      }
    },
    undo: async (download, output) => {
      if (output === undefined || 'facts' in output) await copies.delete(download)
    },
  })

  const finish = defineStep<{ uuid: string; facts: ImageFacts; storageUuids: string[] }, unknown>({
    name: 'finish-image',
    run: async ({ uuid, facts, storageUuids }) => {
      await db.write((tx) => finishImage(tx, uuid, facts, storageUuids))
      return ctx.query.view(image, uuid)
    },
    // The first step's undo removes images that are Downloading: a finished one becomes that again.
    undo: async ({ uuid }) => {
      await db.write((tx) => update(tx, image, { uuid }, { status: imageStatus.downloading }))
    },
  })
  return { insertRows, tag, fetch, finish }
}

/** Fetches to one backup storage; on its own, so that one which fails takes its file back whatever the others do. */
function createFetchWorkflow(copies: Copies): Workflow<Download, ImageFacts> {
  const download = defineStep<Download, ImageFacts>({
    name: 'download-image',
    run: (input, { taskId, signal }) => copies.download(input, { taskId, signal }),
    undo: (input) => copies.delete(input),
  })
  return defineWorkflow('image.fetch', [download], (flow, input: Download) => flow.step(download, input))
}

async function insertImage(tx: Tx, input: AddInput): Promise<void> {
  const { image: row, downloads } = input
  const present = await findOne(tx, image, { uuid: row.uuid })
  if (present?.createDate === row.createDate) return
  if (present !== undefined) {
    const details = `an image[uuid:${row.uuid}, name:${present.name}] exists already; choose another uuid`
    throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'resourceUuid' } })
  }
  const uuids = downloads.map((download) => download.backupStorageUuid)
  const storages = await find(tx, backupStorage, { uuid: oneOf(uuids) })
  if (storages.length < uuids.length)
    throw new CloudError(sysErrors.operationFailed, 'a backup storage was deleted in the meantime')
  for (const { name, uuid, ...states } of storages) {
    const reason = reasonNotUsable(states)
    if (reason === undefined) continue
    throw new CloudError(
      sysErrors.operationFailed,
      `the backup storage ${name}[uuid:${uuid}] takes no image: ${reason}`,
    )
  }
  await insert(tx, image, row)
  const { uuid: imageUuid, createDate, lastOpDate } = row
  for (const { backupStorageUuid, imagePath: installPath } of downloads) {
    const status = imageStatus.downloading
    const ref = { imageUuid, backupStorageUuid, installPath, status, createDate, lastOpDate }
    await insert(tx, imageBackupStorageRef, ref)
  }
}

async function finishImage(
  tx: Tx,
  uuid: string,
  facts: ImageFacts,
  storageUuids: readonly string[],
): Promise<void> {
  const now = Date.now()
  const { format, virtualSizeBytes: size, actualSizeBytes: actualSize, sha256 } = facts
  const ready = { status: imageStatus.ready, lastOpDate: now }
  const there = { imageUuid: uuid, backupStorageUuid: oneOf(storageUuids) }
  const copies = await update(tx, imageBackupStorageRef, there, ready)
  const images = await update(tx, image, { uuid }, { format, size, actualSize, sha256, ...ready })
  if (images === 0 || copies === 0) {
    const details = `the image[uuid:${uuid}] lost its backup storage while it was being downloaded`
    throw new CloudError(sysErrors.operationFailed, details)
  }
  await remove(tx, imageBackupStorageRef, { imageUuid: uuid, status: imageStatus.downloading })
}

/** What all who have the image say of it. Throws when nobody has it, or when they have different files. */
function agreedFacts(input: AddInput, fetched: readonly Fetched[]): ImageFacts {
  const { name, url } = input.image
  const all = fetched.flatMap((one) => ('facts' in one ? [one.facts] : []))
  const [first] = all
  if (first === undefined) {
    const reasons = fetched.flatMap((one) => ('error' in one ? [one.error] : []))
    const names = input.downloads.map((download) => download.backupStorageName).join(', ')
    const cause = reasons[0] && fromErrorBody(reasons[0])
    const details = `cannot download the image ${name} from ${url} to ${names}; nothing of it is left`
    throw new CloudError(backupStorageErrors.download, details, { cause, opaque: { reasons } })
  }
  if (all.every(({ sha256 }) => sha256 === first.sha256)) return first
  const details = `the backup storages got different files from ${url}: it changed during the download; add the image again`
  throw new CloudError(backupStorageErrors.download, details)
}
