import type { PluginContext } from '#plugin-host'
import { cancelMove, finishMove, prepareMove } from './contract/messages.ts'
import { release } from './space.ts'
import { workOn } from './storage-work.ts'
import { driverOf, getStorage } from './store.ts'

/** Volumes of host-bound storage on their way to another host: space and an empty top layer there, then the old copy goes. */
export function serveMoves(ctx: PluginContext): void {
  ctx.serve(prepareMove, async ({ place, image }) => {
    const storage = await getStorage(ctx.db, place.primaryStorageUuid)
    const driver = driverOf(ctx, storage)
    await ctx.db.write((tx) => driver.reserve(tx, place))
    await workOn(ctx, storage, { label: 'make a volume', hostUuid: place.hostUuid }, () =>
      image === undefined
        ? driver.createEmpty(storage, place)
        : driver.createFromImage(storage, place, image),
    )
  })

  ctx.serve(finishMove, async ({ place, installPath }) => {
    const storage = await getStorage(ctx.db, place.primaryStorageUuid)
    const driver = driverOf(ctx, storage)
    for (const hostUuid of await driver.hostsOf(place.volumeUuid)) {
      if (hostUuid === place.hostUuid) continue
      const copy = { volumeUuid: place.volumeUuid, installPath, hostUuid }
      await workOn(ctx, storage, { label: 'delete a volume', hostUuid }, () => driver.delete(storage, copy))
      await release(ctx, storage.uuid, place.volumeUuid, hostUuid)
    }
  })

  ctx.serve(cancelMove, async ({ place, installPath }) => {
    const storage = await getStorage(ctx.db, place.primaryStorageUuid)
    const driver = driverOf(ctx, storage)
    if (!(await driver.hostsOf(place.volumeUuid)).includes(place.hostUuid)) return
    const { volumeUuid, hostUuid } = place
    await workOn(ctx, storage, { label: 'delete a volume', hostUuid }, () =>
      driver.delete(storage, { volumeUuid, installPath, hostUuid }),
    )
    await release(ctx, storage.uuid, place.volumeUuid, place.hostUuid)
  })
}
