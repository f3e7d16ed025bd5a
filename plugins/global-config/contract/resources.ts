import { defineResource, long, optional, type Row, text } from '#contract'

export const globalConfig = defineResource({
  name: 'GlobalConfig',
  className: 'org.zstack.core.config.GlobalConfigInventory',
  table: 'GlobalConfigVO',
  primaryKey: 'id',
  fields: {
    id: long('Id.'),
    name: text('Name people see.'),
    category: text('Category.'),
    description: optional(text('Free text.')),
    defaultValue: text('Default value.'),
    value: text('Value.'),
  },
})
export type GlobalConfig = Row<typeof globalConfig>
