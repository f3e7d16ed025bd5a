import { defineApi, int, inventory, optional, ref, secret, text, withDefault } from '#contract'
import { host } from '#plugins/host/contract/resources.ts'

export const addKVMHost = defineApi({
  name: 'AddKVMHost',
  message: 'org.zstack.kvm.APIAddKVMHostMsg',
  reply: 'org.zstack.header.host.APIAddHostEvent',
  path: '/hosts/kvm',
  summary: 'Add a KVM host: install what it lacks, deploy the agent over SSH, connect.',
  input: {
    username: text('SSH user.', { max: 255 }),
    password: secret(text('SSH password; kept encrypted, for reconnects.', { max: 255, noTrim: true })),
    sshPort: withDefault(int('SSH port.', [1, 65535]), 22),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    managementIp: text('Address of the host, reached by SSH and by the agent.', { notEmpty: true }),
    clusterUuid: ref('ClusterVO', 'The cluster.'),
  },
  output: {
    inventory: inventory(host),
  },
})

export const updateKVMHost = defineApi({
  name: 'UpdateKVMHost',
  message: 'org.zstack.kvm.APIUpdateKVMHostMsg',
  reply: 'org.zstack.header.host.APIUpdateHostEvent',
  method: 'PUT',
  path: '/hosts/kvm/{uuid}/actions',
  summary: 'Change a KVM host, its SSH account included.',
  input: {
    username: optional(text('SSH user.', { max: 255, notEmpty: true })),
    password: optional(
      secret(text('SSH password; kept encrypted, for reconnects.', { max: 255, noTrim: true })),
    ),
    sshPort: optional(int('SSH port.', [1, 65535])),
    uuid: ref('HostVO', 'Uuid of the kvm.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    managementIp: optional(
      text('Address of the host, reached by SSH and by the agent.', { max: 255, notEmpty: true }),
    ),
  },
  output: {
    inventory: inventory(host),
  },
})
