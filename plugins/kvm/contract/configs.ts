import { bool, defineConfig, int, text } from '#contract'

export const reservedMemory = defineConfig({
  category: 'kvm',
  name: 'reservedMemory',
  description: 'Memory of a KVM host that VMs never get, as 1G or in bytes.',
  field: text('Size.', { pattern: /^\d+[KMGT]?$/, max: 20 }),
  defaultValue: '1G',
})

export const hostParallelism = defineConfig({
  category: 'kvm',
  name: 'host.syncLevel',
  description: 'Commands of one management node a KVM host works on at the same time; the others wait.',
  field: int('Commands.', [1, 1000]),
  defaultValue: 10,
})

export const vmStartParallelism = defineConfig({
  category: 'kvm',
  name: 'vm.createConcurrency',
  description: 'VMs that one KVM host starts at the same time; the others wait.',
  field: int('VMs.', [1, 10]),
  defaultValue: 10,
})

export const forgetEpoch = defineConfig({
  category: 'kvm',
  name: 'agent.forgetEpoch',
  description:
    'Whether the next reconnect of a host makes its agent forget the newest state of the cluster it has seen. Only for a management restored from an older backup, while no other one runs.',
  field: bool('Whether.'),
  defaultValue: false,
})
