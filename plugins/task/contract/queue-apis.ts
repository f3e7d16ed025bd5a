import { anything, defineApi, int, list, long, map, optional, refs, struct, text } from '#contract'

const taskInfo = {
  name: text('API, message or command.'),
  className: text('The same.'),
  index: int('Its place among those that run, or wait, from 0.'),
  pendingTime: long('How long it has waited, milliseconds; 0 for what runs.'),
  executionTime: long('How long it has run, milliseconds; 0 for what waits.'),
  context: optional(text('Uuid of the management node it runs or waits on.')),
  apiId: optional(text('The API call it is part of, for ExplainTask.')),
  apiName: optional(text('The API of that call, while it runs on the same node.')),
  contextList: optional(list('Not used.', text('One of them.'))),
}

const chainInfo = struct('ChainInfo', 'One queue or lane.', {
  runningTask: list('What runs.', struct('RunningTaskInfo', 'Work that runs.', taskInfo)),
  pendingTask: list(
    'What waits, the first to run first; at most 200 of each node.',
    struct('PendingTaskInfo', 'Work that waits.', taskInfo),
  ),
  pendingCount: int('How much waits in all.'),
})

const signatures = optional(
  list('Only these queues, as vm:<uuid>, host-commands:<uuid> or slots.', text('Key of a queue.')),
)

const output = {
  results: map('Queues and lanes by key.', chainInfo),
  nodeSilence: optional(
    map(
      'Management nodes that could not be asked, so that what waits there is missing, and why.',
      anything('Why.'),
    ),
  ),
}

export const getChainTask = defineApi({
  name: 'GetChainTask',
  message: 'org.zstack.header.core.APIGetChainTaskMsg',
  kind: 'sync',
  method: 'GET',
  path: '/core/task-details',
  summary: 'Show what runs and what waits in the queues of all management nodes, and for how long.',
  input: { syncSignatures: signatures },
  output,
})

export const getHostTask = defineApi({
  name: 'GetHostTask',
  message: 'org.zstack.header.host.APIGetHostTaskMsg',
  kind: 'sync',
  method: 'GET',
  path: '/hosts/task-details',
  summary: 'Show what runs and what waits for hosts: their own queues and those for their commands.',
  input: { hostUuids: refs('HostVO', 'The hosts.'), syncSignatures: signatures },
  output,
})

export const getVmTask = defineApi({
  name: 'GetVmTask',
  message: 'org.zstack.header.vm.APIGetVmTaskMsg',
  kind: 'sync',
  method: 'GET',
  path: '/vm-instances/task-details',
  summary: 'Show what runs and what waits in the queues of VMs.',
  input: { vmInstanceUuids: refs('VmInstanceVO', 'The VMs.'), syncSignatures: signatures },
  output,
})
