import { bool, choice, defineApi, int, inventory, list, optional, ref, unsupported } from '#contract'
import { host } from '#plugins/host/contract/resources.ts'
import { vmInstance } from './resources.ts'

export const migrateVm = defineApi({
  name: 'MigrateVm',
  message: 'org.zstack.header.vm.APIMigrateVmMsg',
  method: 'PUT',
  path: '/vm-instances/{vmInstanceUuid}/actions',
  summary: 'Move a running VM to another host without stopping it.',
  input: {
    vmInstanceUuid: ref('VmInstanceVO', 'The VM.'),
    hostUuid: optional(ref('HostVO', 'The host.')),
    migrateFromDestination: unsupported(bool('Whether the destination drives the migration.')),
    allowUnknown: unsupported(bool('Move a VM whose state is Unknown.')),
    strategy: optional(choice('InstantStart, or CreateStopped to leave it off.', ['auto-converge'])),
    downTime: unsupported(int('Longest stop of the guest, in seconds.')),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const getVmMigrationCandidateHosts = defineApi({
  name: 'GetVmMigrationCandidateHosts',
  message: 'org.zstack.header.vm.APIGetVmMigrationCandidateHostsMsg',
  kind: 'sync',
  method: 'GET',
  path: '/vm-instances/{vmInstanceUuid}/migration-target-hosts',
  summary: 'Hosts a VM could move to.',
  input: {
    vmInstanceUuid: ref('VmInstanceVO', 'The VM.'),
  },
  output: {
    inventories: optional(list('Result.', inventory(host))),
  },
})
