import { defineHook } from '#plugin-host'

/** Observes the life of images. */
export interface ImageHook {
  /** The image is gone for good; copies that nothing needs may go. */
  expunged(imageUuid: string): Promise<void>
}

export const imageHook = defineHook<ImageHook>('image')
