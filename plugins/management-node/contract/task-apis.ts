import { anything, bool, defineApi, list, optional, text } from '#contract'

export const getTaskProgress = defineApi({
  name: 'GetTaskProgress',
  message: 'org.zstack.header.core.progress.APIGetTaskProgressMsg',
  kind: 'sync',
  method: 'GET',
  path: '/task-progresses/{apiId}',
  summary: 'How far a task is and what it is doing.',
  input: {
    apiId: optional(text('Api id.')),
    all: optional(bool('All.')),
  },
  output: {
    inventories: optional(list('Inventories.', anything('Inventories.'))),
  },
})
