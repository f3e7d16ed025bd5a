import { defineApi, defineQuery, inventory, optional, ref, text } from '#contract'
import { primaryStorage } from '#plugins/primary-storage/contract/resources.ts'
import { localStorageResourceRef } from './resources.ts'

export const addLocalPrimaryStorage = defineApi({
  name: 'AddLocalPrimaryStorage',
  message: 'org.zstack.storage.primary.local.APIAddLocalPrimaryStorageMsg',
  reply: 'org.zstack.header.storage.primary.APIAddPrimaryStorageEvent',
  path: '/primary-storage/local-storage',
  summary: 'Add the local disks of hosts as a primary storage.',
  input: {
    url: text('Directory on each host.', { pattern: /^\/[\w./-]+$/, max: 1024 }),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    type: optional(text('LocalStorage, whatever is given.')),
    zoneUuid: ref('ZoneVO', 'The zone.'),
  },
  output: {
    inventory: inventory(primaryStorage),
  },
})

export const queryLocalStorageResourceRef = defineQuery({
  name: 'QueryLocalStorageResourceRef',
  message: 'org.zstack.storage.primary.local.APIQueryLocalStorageResourceRefMsg',
  path: '/primary-storage/local-storage/resource-refs',
  optionalPaths: [],
  resource: localStorageResourceRef,
})
