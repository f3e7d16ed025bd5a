import { defineMessage } from '#contract'
import type { ServedNic } from '#plugins/network-service/contract/extensions.ts'

/** Every NIC of the VMs that run on a host, as network services want it. */
export const nicsOnHost = defineMessage<{ hostUuid: string }, Omit<ServedNic, 'services'>[]>('vm.nicsOnHost')
