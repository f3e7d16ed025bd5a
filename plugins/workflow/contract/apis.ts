import { anything, defineApi, defineQuery, list, struct, text } from '#contract'
import { workflow } from './resources.ts'

// None of these is an API of the original: they show and settle what this implementation keeps in its journal.

export const queryWorkflow = defineQuery({
  name: 'QueryWorkflow',
  message: 'org.zstack.core.workflow.APIQueryWorkflowMsg',
  path: '/workflows',
  resource: workflow,
  summary:
    'List workflows that have not ended. Stuck ones could not be taken back: see steps.undoError. Not an API of the original.',
})

export const retryWorkflow = defineApi({
  name: 'RetryWorkflow',
  message: 'org.zstack.core.workflow.APIRetryWorkflowMsg',
  method: 'PUT',
  path: '/workflows/{uuid}/actions',
  summary:
    'Take up a stuck workflow now. Fails with the reason when a step still cannot be taken back. Not an API of the original.',
  input: { uuid: text('Uuid of the workflow.', { max: 32 }) },
  output: {
    outcome: text('rolled back: nothing of it is left.'),
    name: text('Name of the workflow.'),
  },
})

export const abandonWorkflow = defineApi({
  name: 'AbandonWorkflow',
  message: 'org.zstack.core.workflow.APIAbandonWorkflowMsg',
  method: 'PUT',
  path: '/workflows/{uuid}/actions',
  summary:
    'Forget a stuck workflow, because a person took care of what it left. Answers what that is. Not an API of the original.',
  input: { uuid: text('Uuid of the workflow.', { max: 32 }) },
  output: {
    name: text('Name of the workflow.'),
    left: list(
      'The steps that were not taken back, in the order they would have been.',
      struct('AbandonedStep', 'What nobody takes back any more.', {
        step: text('Name of the step.'),
        input: anything('What it was given: the things its undo would have removed or set back.'),
        undoError: anything('Why that failed; absent for steps that were not come to.'),
      }),
    ),
  },
})
