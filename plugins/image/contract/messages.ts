import { defineMessage } from '#contract'
import type { ImageSource } from '#plugins/primary-storage/contract/extensions.ts'

/**
 * Where a primary storage in this zone can get an image from. Throws when the image is not ready or enabled, or when no
 * connected backup storage of the zone has it.
 */
export const locateImage = defineMessage<{ imageUuid: string; zoneUuid: string }, ImageSource>('image.locate')
