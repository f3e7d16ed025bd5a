import type { Migration } from '#db'

export const l2NetworkMigrations: readonly Migration[] = [
  {
    id: '0024-l2-network',
    create: [
      {
        name: 'L2NetworkVO',
        columns: {
          uuid: 'uuid',
          name: 'string',
          description: 'text?',
          zoneUuid: 'uuid',
          physicalInterface: 'string',
          type: 'word',
          vSwitchType: 'string?',
          virtualNetworkId: 'int?',
          isolated: 'boolean?',
          pvlan: 'string?',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['uuid'],
        indexes: [['name'], ['zoneUuid']],
      },
      {
        name: 'L2NetworkClusterRefVO',
        columns: {
          clusterUuid: 'uuid',
          l2NetworkUuid: 'uuid',
          l2ProviderType: 'string?',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['l2NetworkUuid', 'clusterUuid'],
        indexes: [['clusterUuid'], ['l2NetworkUuid']],
      },
    ],
  },
]
