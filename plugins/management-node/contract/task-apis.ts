import { anything, bool, defineApi, list, optional, text } from '#contract'

export const getTaskProgress = defineApi({
  name: 'GetTaskProgress',
  message: 'org.zstack.header.core.progress.APIGetTaskProgressMsg',
  kind: 'sync',
  method: 'GET',
  path: '/task-progresses/{apiId}',
  summary: 'How far a task is and what it is doing.',
  input: {
    apiId: optional(text('The task: uuid of the job. All running tasks when absent.')),
    all: optional(bool('Everything, whatever else is given.')),
  },
  output: {
    inventories: optional(list('One entry for each step a task has told of.', anything('One of them.'))),
  },
})
