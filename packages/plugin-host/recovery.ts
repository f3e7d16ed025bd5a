import { CloudError, sysErrors } from '#kernel'
import type { RecoveredWorkflow } from '#workflow'

/** Explains to the callers of interrupted jobs what became of their work. */
export function interruptedErrors(recovered: readonly RecoveredWorkflow[]): (taskId: string) => CloudError {
  const byTask = new Map(recovered.filter((r) => r.taskId !== undefined).map((r) => [r.taskId, r]))
  return (taskId) => {
    const workflow = byTask.get(taskId)
    if (workflow === undefined) {
      return new CloudError(
        sysErrors.operationFailed,
        'the management node stopped while this call was under way and before its result was recorded; look at the resource and repeat the call if needed',
      )
    }
    if (workflow.outcome === 'finished') {
      return new CloudError(
        sysErrors.operationFailed,
        `the management node stopped during ${workflow.name}; it was finished after the restart`,
      )
    }
    return new CloudError(
      sysErrors.operationFailed,
      `the management node stopped during ${workflow.name}; ${workflow.outcome === 'stuck' ? 'it could not be rolled back completely and is tried again' : 'everything it had done was rolled back'}`,
      { cause: workflow.error },
    )
  }
}
