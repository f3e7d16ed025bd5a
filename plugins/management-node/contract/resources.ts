import { defineResource, int, long, optional, type Row, text, timestamp } from '#contract'

export const managementNode = defineResource({
  name: 'ManagementNode',
  className: 'org.zstack.header.managementnode.ManagementNodeInventory',
  fields: {
    uuid: text('Uuid of the ManagementNode.', { max: 32 }),
    hostName: text('Address of the node.'),
    joinDate: timestamp('When it started.'),
    heartBeat: timestamp('When it last said that it is alive.'),
    // From here on no members of the original; clients of it ignore them.
    version: optional(text('Version it runs.')),
    ringShare: optional(int('Part of all resources it looks after, percent.')),
    runningJobs: optional(int('API calls it runs.')),
    waitingJobs: optional(int('API calls that wait for their turn there.')),
    queueDepth: optional(int('Work of any kind that waits in its queues.')),
    eventLoopLagMs: optional(
      int('Worst delay of its event loop between its last two heartbeats, milliseconds.'),
    ),
    memoryBytes: optional(long('Memory its process uses, bytes.')),
  },
})
export type ManagementNode = Row<typeof managementNode>
