import type { Migration } from '#db'

export const networkServiceMigrations: readonly Migration[] = [
  {
    id: '0026-network-service',
    create: [
      {
        name: 'NetworkServiceProviderVO',
        columns: {
          uuid: 'uuid',
          name: 'string',
          description: 'text?',
          type: 'word',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['uuid'],
        indexes: [['name']],
      },
      {
        name: 'NetworkServiceTypeVO',
        columns: { networkServiceProviderUuid: 'uuid', type: 'word' },
        primaryKey: ['networkServiceProviderUuid', 'type'],
        indexes: [['networkServiceProviderUuid']],
      },
      {
        name: 'NetworkServiceProviderL2NetworkRefVO',
        columns: { networkServiceProviderUuid: 'uuid', l2NetworkUuid: 'uuid' },
        primaryKey: ['networkServiceProviderUuid', 'l2NetworkUuid'],
        indexes: [['networkServiceProviderUuid'], ['l2NetworkUuid']],
      },
      {
        name: 'NetworkServiceL3NetworkRefVO',
        columns: { l3NetworkUuid: 'uuid', networkServiceProviderUuid: 'uuid', networkServiceType: 'string' },
        primaryKey: ['l3NetworkUuid', 'networkServiceProviderUuid', 'networkServiceType'],
        indexes: [['l3NetworkUuid'], ['networkServiceProviderUuid']],
      },
    ],
  },
]
