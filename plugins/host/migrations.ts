import type { Migration } from '#db'

export const hostMigrations: readonly Migration[] = [
  {
    id: '0016-host',
    create: [
      {
        name: 'HostVO',
        columns: {
          zoneUuid: 'uuid',
          name: 'string',
          uuid: 'uuid',
          clusterUuid: 'uuid',
          description: 'text?',
          managementIp: 'string',
          hypervisorType: 'word',
          state: 'word',
          status: 'word',
          totalCpuCapacity: 'long',
          availableCpuCapacity: 'long',
          cpuSockets: 'int?',
          totalMemoryCapacity: 'long',
          availableMemoryCapacity: 'long',
          cpuNum: 'int',
          architecture: 'string?',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['uuid'],
        // Placement takes the few with most memory free of a zone, a cluster or all; without these it would sort every host.
        indexes: [
          ['name'],
          ['zoneUuid', 'availableMemoryCapacity'],
          ['clusterUuid', 'availableMemoryCapacity'],
          ['availableMemoryCapacity'],
        ],
        unique: [['managementIp']],
      },
      {
        name: 'HostAllocationVO',
        columns: { vmUuid: 'uuid', hostUuid: 'uuid', cpuNum: 'int', memorySize: 'long' },
        primaryKey: ['vmUuid', 'hostUuid'],
        indexes: [['hostUuid']],
      },
    ],
  },
]
