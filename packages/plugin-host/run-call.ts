import type { Api } from '#contract'
import { CloudError, describeError, type Task, withTask } from '#kernel'
import type { Workflow } from '#workflow'
import type { ApiReply, Deps } from './dispatcher.ts'
import type { ApiCall } from './plugin.ts'
import type { Prepared } from './prepare-call.ts'
import { goneMeanwhile } from './request-checks.ts'

/** What a workflow recorded as the job's result when it ended; a handler that answers something else has the last word. */
export interface Recorded {
  reply: unknown
}

/** Runs the handler of a call in its queue, on this node; a job waits for its turn first. */
export async function runHandler(
  deps: Deps,
  prepared: Prepared,
  task: Task,
  recorded: Recorded | undefined,
): Promise<ApiReply> {
  const { registration, input, request, key } = prepared
  if (prepared.nothingToDo || validationOnly(input)) return {}
  const call: ApiCall = {
    taskId: task.id,
    accountUuid: prepared.accountUuid,
    sessionUuid: request.sessionUuid,
    clientIp: request.clientIp,
    signal: task.signal,
    run: (workflow, workflowInput) => runWorkflow(deps, task.id, recorded, workflow, workflowInput),
  }
  const work = async () => {
    // What it deletes may have gone while it waited in the queue.
    if (await goneMeanwhile(deps.queries, request.api, input)) return {}
    return ((await registration.handler(input as never, call)) ?? {}) as ApiReply
  }
  const queued = () =>
    deps.meters.api(registration.api.name, () =>
      deps.claims.hold(prepared.chosenUuid, () =>
        key === undefined ? work() : deps.bus.enter(key, registration.api.name, work, task.signal),
      ),
    )
  if (recorded === undefined) return withTask(task, queued)
  const { accountUuid } = prepared
  const job = { taskId: task.id, label: registration.api.name, accountUuid, key, signal: request.signal }
  return deps.admission.run(job, () => withTask(task, queued))
}

async function runWorkflow<I, R extends ApiReply>(
  deps: Deps,
  jobUuid: string,
  recorded: Recorded | undefined,
  workflow: Workflow<I, R>,
  input: I,
): Promise<R> {
  if (recorded === undefined) return deps.workflows.run(workflow, input)
  const reply = await deps.workflows.run(workflow, input, {
    onFinish: (tx, output) => deps.jobs.record(tx, jobUuid, { output }),
  })
  recorded.reply = reply
  return reply
}

export function taskOf(
  deps: Deps,
  id: string,
  name: string,
  signal: AbortSignal = new AbortController().signal,
): Task {
  return {
    id,
    name,
    signal,
    progress: (percent, message) => deps.jobs.progress(id, { percent, message, time: Date.now() }),
  }
}

function validationOnly(input: Record<string, unknown>): boolean {
  return Array.isArray(input.systemTags) && input.systemTags.includes('validationOnly')
}

export function logFailure(deps: Deps, api: Api, taskId: string, error: unknown): void {
  const fields = { api: api.name, taskId, err: describeError(error) }
  if (error instanceof CloudError) deps.log.info(fields, 'an API call failed')
  else
    deps.log.error(
      { ...fields, stack: error instanceof Error ? error.stack : undefined },
      'an API call failed by a bug',
    )
}
