import { bool, defineApi, inventory, long, optional, ref, text, withDefault } from '#contract'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { primaryStorage } from '#plugins/primary-storage/contract/resources.ts'

export const addSimulatorHost = defineApi({
  name: 'AddSimulatorHost',
  message: 'org.zstack.header.simulator.APIAddSimulatorHostMsg',
  reply: 'org.zstack.header.host.APIAddHostEvent',
  path: '/hosts/simulators',
  summary: 'Add a simulated host.',
  input: {
    memoryCapacity: withDefault(long('Bytes of memory.', [1, Number.MAX_SAFE_INTEGER]), 1000000000),
    cpuCapacity: withDefault(long('Virtual CPUs.', [1, Number.MAX_SAFE_INTEGER]), 1000000000),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    managementIp: text('Address of the host, reached by SSH and by the agent.', { notEmpty: true }),
    clusterUuid: ref('ClusterVO', 'The cluster.'),
  },
  output: {
    inventory: inventory(host),
  },
})

export const addSimulatorPrimaryStorage = defineApi({
  name: 'AddSimulatorPrimaryStorage',
  message: 'org.zstack.header.simulator.storage.primary.APIAddSimulatorPrimaryStorageMsg',
  reply: 'org.zstack.header.storage.primary.APIAddPrimaryStorageEvent',
  path: '/primary-storage/simulators',
  summary: 'Add a simulated primary storage.',
  input: {
    totalCapacity: withDefault(long('Bytes it can hold.'), 100000000),
    availableCapacity: withDefault(long('Bytes not promised to anybody.'), 10000000),
    availablePhysicalCapacity: withDefault(long('Free bytes of the file system.'), 10000000),
    totalPhysicalCapacity: withDefault(long('Bytes of the file system.'), 10000000),
    url: text('Absolute directory on the hosts.', { pattern: /^\/[\w./-]+$/ }),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    type: optional(text('That of the simulator, whatever is given.')),
    zoneUuid: ref('ZoneVO', 'The zone.'),
  },
  output: {
    inventory: inventory(primaryStorage),
  },
})

export const addSimulatorBackupStorage = defineApi({
  name: 'AddSimulatorBackupStorage',
  message: 'org.zstack.header.simulator.storage.backup.APIAddSimulatorBackupStorageMsg',
  reply: 'org.zstack.header.storage.backup.APIAddBackupStorageEvent',
  path: '/backup-storage/simulators',
  summary: 'Add a simulated backup storage.',
  input: {
    totalCapacity: optional(long('Bytes it can hold.')),
    availableCapacity: optional(long('Bytes not promised to anybody.')),
    url: text('Where it lies.', { notEmpty: true }),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    type: optional(text('That of the simulator, whatever is given.')),
    importImages: optional(bool('Take over what lies there; not supported.')),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})
