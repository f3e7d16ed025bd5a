import { defineResource, type Row, text, timestamp } from '#contract'

export const managementNode = defineResource({
  name: 'ManagementNode',
  className: 'org.zstack.header.managementnode.ManagementNodeInventory',
  fields: {
    uuid: text('Uuid of the ManagementNode.', { max: 32 }),
    hostName: text('Address of the node.'),
    joinDate: timestamp('When it started.'),
    heartBeat: timestamp('When it last said that it is alive.'),
  },
})
export type ManagementNode = Row<typeof managementNode>
