import { defineApi, defineQuery, inventory, optional, text } from '#contract'
import { globalConfig } from './resources.ts'

export const updateGlobalConfig = defineApi({
  name: 'UpdateGlobalConfig',
  message: 'org.zstack.core.config.APIUpdateGlobalConfigMsg',
  method: 'PUT',
  path: '/global-configurations/{category}/{name}/actions',
  summary: 'Change a global configuration, at once and everywhere.',
  input: {
    category: text('Group the configuration belongs to, such as vm.'),
    name: text('Name people see.'),
    value: optional(text('Value in force.')),
  },
  output: {
    inventory: inventory(globalConfig),
  },
})

export const queryGlobalConfig = defineQuery({
  name: 'QueryGlobalConfig',
  message: 'org.zstack.core.config.APIQueryGlobalConfigMsg',
  path: '/global-configurations',
  optionalPaths: [],
  resource: globalConfig,
})
