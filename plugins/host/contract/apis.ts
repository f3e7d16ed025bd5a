import {
  anything,
  bool,
  choice,
  defineApi,
  defineQuery,
  inventory,
  list,
  long,
  optional,
  ref,
  refs,
  text,
  withDefault,
} from '#contract'
import { host } from './resources.ts'

export const updateHost = defineApi({
  name: 'UpdateHost',
  message: 'org.zstack.header.host.APIUpdateHostMsg',
  method: 'PUT',
  path: '/hosts/{uuid}/actions',
  summary: 'Change name, description or address of a host.',
  input: {
    uuid: ref('HostVO', 'Uuid of the host.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    managementIp: optional(
      text('Address of the host, reached by SSH and by the agent.', { max: 255, notEmpty: true }),
    ),
  },
  output: {
    inventory: inventory(host),
  },
})

export const changeHostState = defineApi({
  name: 'ChangeHostState',
  message: 'org.zstack.header.host.APIChangeHostStateMsg',
  method: 'PUT',
  path: '/hosts/{uuid}/actions',
  summary: 'Enable, disable or maintain a host.',
  input: {
    uuid: ref('HostVO', 'Uuid of the host.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable', 'maintain']),
  },
  output: {
    inventory: inventory(host),
  },
})

export const reconnectHost = defineApi({
  name: 'ReconnectHost',
  message: 'org.zstack.header.host.APIReconnectHostMsg',
  method: 'PUT',
  path: '/hosts/{uuid}/actions',
  summary: 'Connect a host again, upgrading its agent when needed.',
  input: {
    uuid: ref('HostVO', 'Uuid of the host.'),
  },
  output: {
    inventory: inventory(host),
  },
})

export const deleteHost = defineApi({
  name: 'DeleteHost',
  message: 'org.zstack.header.host.APIDeleteHostMsg',
  method: 'DELETE',
  path: '/hosts/{uuid}',
  summary: 'Remove a host that runs no VMs, and its agent.',
  input: {
    uuid: ref('HostVO', 'Uuid of the host.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryHost = defineQuery({
  name: 'QueryHost',
  message: 'org.zstack.header.host.APIQueryHostMsg',
  path: '/hosts',
  resource: host,
})

export const getCpuMemoryCapacity = defineApi({
  name: 'GetCpuMemoryCapacity',
  message: 'org.zstack.header.allocator.APIGetCpuMemoryCapacityMsg',
  kind: 'sync',
  method: 'GET',
  path: '/hosts/capacities/cpu-memory',
  summary: 'CPU and memory, in all and free.',
  input: {
    zoneUuids: optional(refs('ZoneVO', 'Only these zones.')),
    clusterUuids: optional(refs('ClusterVO', 'Only these clusters.')),
    hostUuids: optional(refs('HostVO', 'Only these hosts.')),
    hypervisorType: optional(choice('KVM or Simulator.', ['KVM', 'ESX'])),
    all: optional(bool('Everything, whatever else is given.')),
  },
  output: {
    totalCpu: optional(long('Virtual CPUs the hosts offer in all.')),
    availableCpu: optional(long('Virtual CPUs nobody has.')),
    totalMemory: optional(long('Bytes of memory in all.')),
    availableMemory: optional(long('Bytes of memory nobody has.')),
    managedCpuNum: optional(long('Logical CPUs of the hosts.')),
    capacityData: optional(list('The same for each resource; absent.', anything('One of them.'))),
    resourceType: optional(text('Kind of resource, VmInstanceVO.')),
  },
})

export const getHypervisorTypes = defineApi({
  name: 'GetHypervisorTypes',
  message: 'org.zstack.header.host.APIGetHypervisorTypesMsg',
  kind: 'sync',
  method: 'GET',
  path: '/hosts/hypervisor-types',
  summary: 'Hypervisors that hosts may run.',
  input: {},
  output: {
    hypervisorTypes: optional(
      list('Names to use where a hypervisor type is asked for.', text('One of them.')),
    ),
  },
})

export const getHostAllocatorStrategies = defineApi({
  name: 'GetHostAllocatorStrategies',
  message: 'org.zstack.header.allocator.APIGetHostAllocatorStrategiesMsg',
  kind: 'sync',
  method: 'GET',
  path: '/hosts/allocators/strategies',
  summary: 'Ways of choosing a host.',
  input: {},
  output: {
    strategies: optional(list('Names to use as allocatorStrategy.', text('One of them.'))),
  },
})
