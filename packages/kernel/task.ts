import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * The piece of work an API call started, carried along every call it makes so that logs, journals and agents can name it.
 * Services never read anything but its id and its progress sink from here; data goes through arguments.
 */
export interface Task {
  readonly id: string
  /** What people see: the API's name or the name of a background job. */
  readonly name: string
  readonly signal: AbortSignal
  /** Tells people how far the task is: percent 0 to 100 and what is going on. */
  progress(percent: number | undefined, message: string): void
}

/** A task that runs. What it leaves behind (timers, streams, connections) is no part of it any more once it has ended. */
interface Running {
  readonly task: Task
  ended: boolean
}

const storage = new AsyncLocalStorage<Running>()

/** The task this code runs for, or undefined for work nobody asked for, or whose task has ended. */
export function currentTask(): Task | undefined {
  const running = storage.getStore()
  return running === undefined || running.ended ? undefined : running.task
}

/** Runs `work` as part of `task`, which ends with it. */
export function withTask<T>(task: Task, work: () => T): T {
  const running: Running = { task, ended: false }
  const end = () => {
    running.ended = true
  }
  const result = storage.run(running, work)
  if (result instanceof Promise) result.then(end, end)
  else end()
  return result
}
