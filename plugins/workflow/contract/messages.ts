import { defineMessage } from '#contract'

/** Takes up a stuck workflow; to be sent to the node whose it is. Throws what the undo said. */
export const retryWorkflowHere = defineMessage<{ uuid: string }, { outcome: string }>('workflow.retry')

/** Forgets a stuck workflow; to be sent to the node whose it is. */
export const abandonWorkflowHere = defineMessage<{ uuid: string }, { left: AbandonedStep[] }>(
  'workflow.abandon',
)

export interface AbandonedStep {
  readonly step: string
  readonly input: unknown
  readonly undoError?: unknown
}
