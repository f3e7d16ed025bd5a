import { atMost, find, findOne, oneOf } from '#db'
import { describeError, steadyNow } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { backupStorageStatus } from '#plugins/backup-storage/contract/states.ts'
import type { Workflow } from '#workflow'
import { deletionPolicy, expungePeriod } from './contract/configs.ts'
import { type ImageBackupStorageRef, image, imageBackupStorageRef } from './contract/resources.ts'
import { imageStatus } from './contract/states.ts'
import { copiesOf, queueOf } from './deletion.ts'
import type { ExpungeInput } from './expunge-workflow.ts'

/**
 * Makes the work of one round: deleted copies whose time is over are expunged, those on a backup storage that is away later. Under the
 * policy Direct their time is over at once: what is found then is what an expunge could not finish.
 */
export function createReaper(
  ctx: PluginContext,
  expunge: Workflow<ExpungeInput, Record<string, never>>,
): () => Promise<void> {
  return async () => {
    const policy = ctx.config.get(deletionPolicy)
    if (policy === 'Never') return
    const latest = steadyNow() - (policy === 'Direct' ? 0 : ctx.config.get(expungePeriod) * 1000)
    for (const imageUuid of await findDue(ctx, latest)) {
      if (!ctx.cluster.owns(queueOf(imageUuid))) continue
      try {
        await ctx.bus.enter(queueOf(imageUuid), 'expunge of a deleted image', () =>
          expungeDue(ctx, expunge, imageUuid, latest),
        )
      } catch (error) {
        ctx.log.warn({ imageUuid, err: describeError(error) }, 'a deleted image could not be expunged')
      }
    }
  }
}

/** Images with deleted copies, and those whose last copy went with its backup storage. */
async function findDue({ db }: PluginContext, latest: number): Promise<Set<string>> {
  const status = imageStatus.deleted
  const refs = await find(db, imageBackupStorageRef, { status, lastOpDate: atMost(latest) })
  const images = await find(db, image, { status, deletedAt: atMost(latest) })
  return new Set([...refs.map((ref) => ref.imageUuid), ...images.map(({ uuid }) => uuid)])
}

/** Runs in the image's queue, where it may have been recovered in the meantime. */
async function expungeDue(
  ctx: PluginContext,
  expunge: Workflow<ExpungeInput, Record<string, never>>,
  imageUuid: string,
  latest: number,
): Promise<void> {
  if ((await findOne(ctx.db, image, { uuid: imageUuid })) === undefined) return
  const due = { imageUuid, status: imageStatus.deleted, lastOpDate: atMost(latest) }
  const refs = await find(ctx.db, imageBackupStorageRef, due)
  const present = await reachable(ctx, refs)
  if (refs.length > 0 && present.length === 0) return
  await ctx.workflows.run(expunge, { imageUuid, copies: copiesOf(present) })
}

async function reachable(
  ctx: PluginContext,
  refs: ImageBackupStorageRef[],
): Promise<ImageBackupStorageRef[]> {
  const uuid = oneOf(refs.map((ref) => ref.backupStorageUuid))
  const storages = await find(ctx.db, backupStorage, { uuid, status: backupStorageStatus.connected })
  return refs.filter((ref) => storages.some((storage) => storage.uuid === ref.backupStorageUuid))
}
