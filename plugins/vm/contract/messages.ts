import { defineMessage } from '#contract'
import type { ServedNic } from '#plugins/network-service/contract/extensions.ts'

/** Every NIC of the VMs that run on a host, as network services want it. */
export const nicsOnHost = defineMessage<{ hostUuid: string }, Omit<ServedNic, 'services'>[]>('vm.nicsOnHost')

/** Settles the services of NICs that were set up on a host all at once, where a VM was not at rest meanwhile. Does not wait for that. */
export const convergeServices = defineMessage<
  { hostUuid: string; nics: readonly Omit<ServedNic, 'services'>[] },
  void
>('vm.settleServices')

/** Makes a running VM see a disk; does nothing for one that is off. The caller holds the VM's queue. A repeat is fine. */
export const plugDisk = defineMessage<{ vmUuid: string; volumeUuid: string; deviceId: number }, void>(
  'vm.plugDisk',
)

/** Takes a disk from a running VM; does nothing for one that is off. The caller holds the VM's queue. A repeat is fine. */
export const unplugDisk = defineMessage<{ vmUuid: string; installPath: string }, void>('vm.unplugDisk')

/** The queue all work on one VM runs in. */
export const vmKey = (vmUuid: string): string => `vm:${vmUuid}`
