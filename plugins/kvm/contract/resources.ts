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
    osDistribution: optional(text('Os distribution.')),
    osRelease: optional(text('Os release.')),
    osVersion: optional(text('Os version.')),
    sealedPassword: secret(text('SSH password, encrypted.')),
    hostKey: optional(text('Host key.')),
    agentPort: optional(int('Agent port.')),
    acceleration: optional(text('Acceleration.')),
    agentVersion: optional(text('Agent version.')),
    bootId: optional(text('Boot id.')),
  },
})
export type KVMHost = Row<typeof kvmHost>
