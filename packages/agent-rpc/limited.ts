import { currentTask, type LaneWork } from '#kernel'
import type { AgentClient } from './call.ts'

/** Bounds commands to one agent. */
export interface CommandLane {
  run<T>(work: LaneWork<T>): Promise<T>
}

/**
 * The same client, with at most as many commands under way as the lane allows; those named in `passing` are not counted. One whose
 * task is cancelled while it waits is not sent.
 */
export function limitCalls<C extends AgentClient>(
  client: C,
  lane: CommandLane,
  passing: readonly string[],
): C {
  const isPassing = new Set(passing)
  return {
    ...client,
    call: (call, input, options) => {
      const send = () => client.call(call, input, options)
      if (isPassing.has(call.name)) return send()
      return lane.run({ label: call.name, signal: options?.signal ?? currentTask()?.signal, run: send })
    },
  }
}
