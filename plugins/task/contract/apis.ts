import { anything, bool, defineApi, int, list, long, optional, struct, text, timestamp } from '#contract'

const forMs = long('For how long by now, milliseconds.')

const queueEntry = struct('TaskQueueEntry', 'Work in a queue.', {
  queue: text('Key of the queue, as vm:<uuid>.'),
  label: text('API, message or job.'),
  taskId: optional(text('The API call it is part of.')),
  running: bool('Whether it runs; otherwise it waits.'),
  forMs,
})

/** All that can be told of a task. Not a resource: most of it lives in memory only. */
export const taskExplanation = {
  uuid: text('Uuid of the job.'),
  apiName: text('The API that was called.'),
  state: text('Waiting, Running, Succeeded or Failed.'),
  accountUuid: optional(text('On whose behalf; absent for calls that were refused.')),
  nodeUuid: optional(text('Management node that runs it.')),
  nodeSilence: optional(
    text('Why that node could not be asked, so that nothing is known of queues and commands.'),
  ),
  createDate: timestamp('When it was accepted.'),
  finishDate: optional(timestamp('When it ended.')),
  durationMs: long('How long it took, or has taken until now.'),
  holds: list(
    'Queues in which it runs: that of a resource alone, a lane of a host or storage beside others.',
    queueEntry,
  ),
  waits: list(
    'Queues in which it waits for its turn.',
    struct('TaskWait', 'One of them.', {
      queue: text(
        'Key of the queue, as vm:<uuid>, or of a lane, as host-commands:<uuid>; slots when as many calls run as may.',
      ),
      forMs,
      aheadCount: int('How much comes before it.'),
      ahead: list('The first of that, at most 20; what runs comes first.', queueEntry),
    }),
  ),
  workflows: list(
    'Workflows of it that have not ended, outermost first.',
    struct('TaskWorkflow', 'One of them.', {
      uuid: text('Uuid of this run of the workflow.'),
      name: text('Name of the workflow.'),
      state: text('Running, RollingBack or Stuck.'),
      step: optional(text('The step it is at.')),
      stepNumber: optional(int('Steps begun so far.')),
      forMs,
      stepForMs: optional(long('How long it has been at the step; absent when that is not known.')),
      undoError: optional(anything('Why the step could not be taken back.')),
    }),
  ),
  agentCalls: list(
    'Commands to agents that are not answered yet.',
    struct('TaskAgentCall', 'One of them.', {
      call: text('Name of the command.'),
      address: text('Address of the agent.'),
      name: optional(text('Name of the host or storage at the address.')),
      forMs,
    }),
  ),
  progress: list(
    'What it has told of itself, oldest first; kept while it runs.',
    struct('TaskProgressLine', 'One line.', {
      time: timestamp('When.'),
      percent: optional(int('How far, 0 to 100.')),
      message: text('What it does.'),
    }),
  ),
  error: optional(anything('Why it failed: code, description, details, cause.')),
}

/** Not an API of the original, which tells only the progress of a task. */
export const explainTask = defineApi({
  name: 'ExplainTask',
  message: 'org.zstack.core.task.APIExplainTaskMsg',
  kind: 'sync',
  method: 'GET',
  path: '/tasks/{apiId}/explanation',
  summary:
    'Tell where an API call is, what it waits for, behind what, for how long, or what became of it. Not an API of the original.',
  input: { apiId: text('The task: uuid of the job.', { max: 64 }) },
  output: { inventory: struct('TaskExplanation', 'What is known of the task.', taskExplanation) },
})
