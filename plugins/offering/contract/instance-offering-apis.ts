import {
  choice,
  defineApi,
  defineQuery,
  int,
  inventory,
  long,
  optional,
  ref,
  text,
  withDefault,
} from '#contract'
import { instanceOffering } from './resources.ts'

export const createInstanceOffering = defineApi({
  name: 'CreateInstanceOffering',
  message: 'org.zstack.header.configuration.APICreateInstanceOfferingMsg',
  path: '/instance-offerings',
  summary: 'Create an offering of CPUs and memory.',
  input: {
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    cpuNum: int('Virtual CPUs.', [1, 1024]),
    memorySize: long('Memory in bytes, at least 16 MiB.', [16 * 2 ** 20, Number.MAX_SAFE_INTEGER]),
    reservedMemorySize: optional(
      long('Bytes of memory that are always backed; kept, not enforced.', [0, Number.MAX_SAFE_INTEGER]),
    ),
    allocatorStrategy: optional(text('How a host is chosen.')),
    sortKey: optional(int('Order in lists.')),
    type: optional(text('UserVm for instance offerings, zstack for disk offerings.')),
  },
  output: {
    inventory: inventory(instanceOffering),
  },
})

export const updateInstanceOffering = defineApi({
  name: 'UpdateInstanceOffering',
  message: 'org.zstack.header.configuration.APIUpdateInstanceOfferingMsg',
  method: 'PUT',
  path: '/instance-offerings/{uuid}/actions',
  summary: 'Change name or description of an instance offering.',
  input: {
    uuid: ref('InstanceOfferingVO', 'Uuid of the offering.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    allocatorStrategy: optional(text('How a host is chosen.')),
  },
  output: {
    inventory: inventory(instanceOffering),
  },
})

export const changeInstanceOfferingState = defineApi({
  name: 'ChangeInstanceOfferingState',
  message: 'org.zstack.header.configuration.APIChangeInstanceOfferingStateMsg',
  method: 'PUT',
  path: '/instance-offerings/{uuid}/actions',
  summary: 'Enable or disable an instance offering.',
  input: {
    uuid: ref('InstanceOfferingVO', 'Uuid of the offering.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(instanceOffering),
  },
})

export const deleteInstanceOffering = defineApi({
  name: 'DeleteInstanceOffering',
  message: 'org.zstack.header.configuration.APIDeleteInstanceOfferingMsg',
  method: 'DELETE',
  path: '/instance-offerings/{uuid}',
  summary: 'Delete an instance offering; VMs made from it keep what they have.',
  input: {
    uuid: ref('InstanceOfferingVO', 'Uuid of the offering.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryInstanceOffering = defineQuery({
  name: 'QueryInstanceOffering',
  message: 'org.zstack.header.configuration.APIQueryInstanceOfferingMsg',
  path: '/instance-offerings',
  resource: instanceOffering,
})
