import { count, find, get, not, oneOf, type Tx, update } from '#db'
import { CloudError, steadyNow, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { Workflow } from '#workflow'
import { deletionPolicy } from './contract/configs.ts'
import { deleteImage, expungeImage, recoverImage } from './contract/deletion-apis.ts'
import { type Image, type ImageBackupStorageRef, image, imageBackupStorageRef } from './contract/resources.ts'
import { imageStatus } from './contract/states.ts'
import type { Copy } from './copies.ts'
import type { ExpungeInput } from './expunge-workflow.ts'

type Expunge = Workflow<ExpungeInput, Record<string, never>>

export function handleDeletion(ctx: PluginContext, expunge: Expunge): void {
  const { db } = ctx
  const refsOf = (imageUuid: string, backupStorageUuids: readonly string[] | undefined, status: string) =>
    find(db, imageBackupStorageRef, { imageUuid, status, ...among(backupStorageUuids) })

  ctx.handle(
    deleteImage,
    async ({ uuid, backupStorageUuids }, call) => {
      const row = await getSettled(ctx, uuid)
      const refs = await find(db, imageBackupStorageRef, { imageUuid: uuid, ...among(backupStorageUuids) })
      const elsewhere =
        backupStorageUuids?.filter((b) => !refs.some((ref) => ref.backupStorageUuid === b)) ?? []
      if (elsewhere.length > 0) {
        const details = `the image ${nameOf(row)} is not on the backup storage ${elsewhere.join(', ')}`
        throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'backupStorageUuids' } })
      }
      await db.write((tx) => markDeleted(tx, uuid, backupStorageUuids))
      if (ctx.config.get(deletionPolicy) !== 'Direct') return {}
      const copies = copiesOf(await refsOf(uuid, backupStorageUuids, imageStatus.deleted))
      return call.run(expunge, { imageUuid: uuid, copies })
    },
    { key: ({ uuid }) => queueOf(uuid) },
  )

  ctx.handle(
    recoverImage,
    async ({ imageUuid, backupStorageUuids }) => {
      const row = await getSettled(ctx, imageUuid)
      const refs = await refsOf(imageUuid, backupStorageUuids, imageStatus.deleted)
      if (refs.length === 0) throw nothingDeleted(row, 'recovered', backupStorageUuids)
      await db.write((tx) => markRecovered(tx, imageUuid, backupStorageUuids))
      return { inventory: await ctx.query.view(image, imageUuid) }
    },
    { key: ({ imageUuid }) => queueOf(imageUuid) },
  )

  ctx.handle(
    expungeImage,
    async ({ imageUuid, backupStorageUuids }, call) => {
      const row = await getSettled(ctx, imageUuid)
      const copies = copiesOf(await refsOf(imageUuid, backupStorageUuids, imageStatus.deleted))
      const isDone = row.status === imageStatus.deleted && backupStorageUuids === undefined
      if (copies.length === 0 && !isDone) throw nothingDeleted(row, 'expunged', backupStorageUuids)
      return call.run(expunge, { imageUuid, copies })
    },
    { key: ({ imageUuid }) => queueOf(imageUuid) },
  )
}

/** All that changes an image which is no longer being added runs here. */
export function queueOf(imageUuid: string): string {
  return `image:${imageUuid}`
}

/** The image, unless it is still being added: that ends by itself, and takes everything back when it fails. */
export async function getSettled(ctx: PluginContext, uuid: string): Promise<Image> {
  const row = await get(ctx.db, image, uuid)
  if (row.status !== imageStatus.downloading) return row
  const details = `the image ${nameOf(row)} is being downloaded; wait until that has ended`
  throw new CloudError(sysErrors.operationFailed, details)
}

export function copiesOf(refs: readonly ImageBackupStorageRef[]): Copy[] {
  return refs.map(({ backupStorageUuid, installPath }) => ({ backupStorageUuid, imagePath: installPath }))
}

export function nameOf({ name, uuid }: Pick<Image, 'name' | 'uuid'>): string {
  return `${name}[uuid:${uuid}]`
}

function among(backupStorageUuids: readonly string[] | undefined) {
  return backupStorageUuids === undefined ? {} : { backupStorageUuid: oneOf(backupStorageUuids) }
}

/** A copy deleted earlier keeps its time. The image is Deleted when all its copies are. */
async function markDeleted(
  tx: Tx,
  imageUuid: string,
  backupStorageUuids: readonly string[] | undefined,
): Promise<void> {
  const now = steadyNow()
  const status = imageStatus.deleted
  const ready = { imageUuid, status: imageStatus.ready, ...among(backupStorageUuids) }
  await update(tx, imageBackupStorageRef, ready, { status, lastOpDate: now })
  if ((await count(tx, imageBackupStorageRef, { imageUuid, status: not<string>(status) })) > 0) return
  await update(
    tx,
    image,
    { uuid: imageUuid, status: not<string>(status) },
    { status, deletedAt: now, lastOpDate: now },
  )
}

async function markRecovered(
  tx: Tx,
  imageUuid: string,
  backupStorageUuids: readonly string[] | undefined,
): Promise<void> {
  const ready = { status: imageStatus.ready, lastOpDate: Date.now() }
  const deleted = { imageUuid, status: imageStatus.deleted, ...among(backupStorageUuids) }
  await update(tx, imageBackupStorageRef, deleted, ready)
  await update(tx, image, { uuid: imageUuid }, { ...ready, deletedAt: undefined })
}

function nothingDeleted(
  row: Image,
  verb: 'recovered' | 'expunged',
  backupStorageUuids: readonly string[] | undefined,
): CloudError {
  const where =
    backupStorageUuids === undefined ? '' : ` on the backup storage ${backupStorageUuids.join(', ')}`
  const hint = verb === 'expunged' ? '; delete it first' : ''
  const details = `the image ${nameOf(row)} is ${row.status} and has no deleted copy${where} that could be ${verb}${hint}`
  return new CloudError(sysErrors.operationFailed, details)
}
