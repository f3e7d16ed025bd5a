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

const storage = new AsyncLocalStorage<Task>()

/** The task this code runs for, or undefined for work nobody asked for. */
export function currentTask(): Task | undefined {
  return storage.getStore()
}

/** Runs `work` as part of `task`. */
export function withTask<T>(task: Task, work: () => T): T {
  return storage.run(task, work)
}
