import { defineMessage } from '#contract'
import type { ImageSource } from '#plugins/primary-storage/contract/extensions.ts'

/**
 * Where a primary storage in this zone can get an image from. Throws when the image is not ready or enabled, or when no
 * connected backup storage of the zone has it.
 * With `forExisting`, for what was made from the image already, a Deleted or Disabled one will do.
 */
export const locateImage = defineMessage<
  { imageUuid: string; zoneUuid: string; forExisting?: boolean | undefined },
  ImageSource
>('image.locate')
