import { defineResource, type Row, text, timestamp } from '#contract'

export const managementNode = defineResource({
  name: 'ManagementNode',
  className: 'org.zstack.header.managementnode.ManagementNodeInventory',
  fields: {
    uuid: text('Uuid of the ManagementNode.', { max: 32 }),
    hostName: text('Host name.'),
    joinDate: timestamp('Join date.'),
    heartBeat: timestamp('Heart beat.'),
  },
})
export type ManagementNode = Row<typeof managementNode>
