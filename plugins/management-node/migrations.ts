import type { Migration } from '#db'

export const managementNodeMigrations: readonly Migration[] = [
  {
    id: '0013-management-node',
    create: [
      {
        name: 'ManagementNodeVO',
        columns: { uuid: 'uuid', hostName: 'string', joinDate: 'time', heartBeat: 'time' },
        primaryKey: ['uuid'],
      },
    ],
  },
  {
    id: '0032-node-facts',
    addColumns: {
      ManagementNodeVO: {
        version: 'string?',
        ringShare: 'int?',
        runningJobs: 'int?',
        waitingJobs: 'int?',
        queueDepth: 'int?',
        eventLoopLagMs: 'int?',
        memoryBytes: 'long?',
      },
    },
  },
]
