import { anything, bool, defineResource, int, list, optional, type Row, text, timestamp } from '#contract'

/** A workflow that has not ended, as the journal holds it. Its input is not shown: it may carry secrets. */
export const workflow = defineResource({
  name: 'Workflow',
  className: 'org.zstack.core.workflow.WorkflowInventory',
  fields: {
    uuid: text('Uuid of this run of the workflow.'),
    name: text('Name of the workflow, as vm.create.'),
    state: text('Running, RollingBack or Stuck.'),
    taskId: optional(text('The API call it works for.')),
    nodeUuid: text('Management node that runs it.'),
    queueKeys: optional(list('Queues it ran in, outermost first: vm:<uuid>.', text('A key.'))),
    error: optional(anything('What made it roll back: code, description, details, cause.')),
    createDate: timestamp('When it began.'),
  },
  relations: {
    steps: {
      to: 'WorkflowStepInventory',
      column: 'uuid',
      otherColumn: 'workflowUuid',
      embedded: true,
    },
  },
})
export type Workflow = Row<typeof workflow>

/** A step that was begun. */
export const workflowStep = defineResource({
  name: 'WorkflowStep',
  className: 'org.zstack.core.workflow.WorkflowStepInventory',
  primaryKey: 'workflowUuid',
  hidden: ['input'],
  fields: {
    workflowUuid: text('The workflow.'),
    seq: int('Order, counted from 0.'),
    name: text('Name of the step.'),
    input: anything('What it was given.'),
    undone: bool('Whether it was taken back.'),
    undoError: optional(anything('Why it could not be taken back: code, description, details, cause.')),
  },
})
export type WorkflowStep = Row<typeof workflowStep>

export const workflowState = { running: 'Running', rollingBack: 'RollingBack', stuck: 'Stuck' } as const
