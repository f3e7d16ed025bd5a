import { defineMessage } from '#contract'
import type { ServedNic } from './extensions.ts'

/** NICs of VMs on one host; `services` is filled in by the network-service plugin. */
export interface NicsOnHost {
  readonly hostUuid: string
  readonly nics: readonly Omit<ServedNic, 'services'>[]
}

/** Makes every service of the NICs' networks work for them on the host. */
export const applyServices = defineMessage<NicsOnHost, void>('networkService.apply')
/** Takes the services of the NICs away from the host. */
export const removeServices = defineMessage<NicsOnHost, void>('networkService.remove')
/** Sets up every service for all NICs of a host that was just connected. */
export const restoreServices = defineMessage<NicsOnHost, void>('networkService.restore')
