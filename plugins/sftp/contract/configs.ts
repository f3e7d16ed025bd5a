import { bool, defineConfig } from '#contract'

export const forgetEpoch = defineConfig({
  category: 'sftp',
  name: 'agent.forgetEpoch',
  description:
    'Whether the next reconnect of an image server makes its agent forget the newest state of the cluster it has seen. Only for a management restored from an older backup, while no other one runs.',
  field: bool('Whether.'),
  defaultValue: false,
})
