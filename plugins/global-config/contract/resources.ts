import { defineResource, long, optional, type Row, text } from '#contract'

export const globalConfig = defineResource({
  name: 'GlobalConfig',
  className: 'org.zstack.core.config.GlobalConfigInventory',
  table: 'GlobalConfigVO',
  primaryKey: 'id',
  fields: {
    id: long('Number of the row.'),
    name: text('Name people see.'),
    category: text('Group the configuration belongs to, such as vm.'),
    description: optional(text('Free text.')),
    defaultValue: text('Value it has when nobody changed it.'),
    value: text('Value in force.'),
  },
})
export type GlobalConfig = Row<typeof globalConfig>
