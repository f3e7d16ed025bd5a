import { update } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { changeImageState, updateImage } from './contract/apis.ts'
import { type Image, image } from './contract/resources.ts'
import { imageStateAfter } from './contract/states.ts'
import { getSettled, nameOf, queueOf } from './deletion.ts'

export function handleImages(ctx: PluginContext): void {
  const { db } = ctx
  const key = ({ uuid }: { uuid: string }) => queueOf(uuid)
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(image, uuid) })

  ctx.handle(
    updateImage,
    async (input) => {
      const { uuid, name, description, guestOsType, mediaType, system, platform, architecture, virtio } =
        input
      const row = await getSettled(ctx, uuid)
      refuseOtherContent(row, input)
      const given = { name, description, guestOsType, mediaType, system, platform, architecture, virtio }
      const patch = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
      await db.write((tx) => update(tx, image, { uuid }, { ...patch, lastOpDate: Date.now() }))
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    changeImageState,
    async ({ uuid, stateEvent }) => {
      await getSettled(ctx, uuid)
      const state = imageStateAfter[stateEvent]
      await db.write((tx) => update(tx, image, { uuid }, { state, lastOpDate: Date.now() }))
      return view(uuid)
    },
    { key },
  )
}

/**
 * The format says what the file is and was checked when it came: a raw image renamed to qcow2 could name any file of a
 * host as its backing file.
 */
function refuseOtherContent(
  row: Image,
  input: { format?: string | undefined; mediaType?: string | undefined },
): void {
  const hint = 'add the file again as a new image'
  if (input.format !== undefined && input.format !== row.format) {
    const details = `the image ${nameOf(row)} is a ${row.format} file and cannot become ${input.format}; ${hint}`
    throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'format' } })
  }
  if (input.mediaType !== undefined && (input.mediaType === 'ISO') !== (row.mediaType === 'ISO')) {
    const details = `the image ${nameOf(row)} is a ${row.mediaType} and cannot become a ${input.mediaType}; ${hint}`
    throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'mediaType' } })
  }
}
