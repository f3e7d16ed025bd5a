import { defineResource, int, optional, type Row, secret, text } from '#contract'
import { host } from '#plugins/host/contract/resources.ts'

export const kvmHost = defineResource({
  name: 'KVMHost',
  className: 'org.zstack.kvm.KVMHostInventory',
  hidden: ['sealedPassword', 'hostKey', 'agentPort', 'agentVersion', 'bootId'],
  parent: { resource: host, typeColumn: 'hypervisorType', type: 'KVM' },
  fields: {
    uuid: text('Uuid of the KVMHost.', { max: 32 }),
    username: text('SSH user.'),
    sshPort: int('SSH port.'),
    osDistribution: optional(text('Distribution of the host, debian.')),
    osRelease: optional(text('Release of the distribution, bookworm.')),
    osVersion: optional(text('Version of the distribution, 12.')),
    sealedPassword: secret(text('SSH password, encrypted.')),
    hostKey: optional(text('Fingerprint of its SSH key, pinned at the first connection.')),
    agentPort: optional(int('Port of its agent.')),
    acceleration: optional(text('kvm, or tcg when only software emulation works.')),
    agentVersion: optional(text('Hash of the agent that was deployed.')),
    bootId: optional(text('Changes at each boot of the host.')),
  },
})
export type KVMHost = Row<typeof kvmHost>
