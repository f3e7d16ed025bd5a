export { currentDeadlineMs, withDeadline, withoutDeadline } from './deadline.ts'
export { type Disposable, Scope } from './disposable.ts'
export {
  CloudError,
  clusterErrors,
  defineError,
  describeError,
  type ErrorBody,
  type ErrorCode,
  fromErrorBody,
  sysErrors,
  toErrorBody,
  uuidTaken,
} from './errors.ts'
export { isUuid, newOrderedUuid, newToken, newUuid } from './ids.ts'
export { Lanes, type LaneWork } from './lanes.ts'
export { createLogger, type Logger, silentLogger, withoutSecrets } from './log.ts'
export { heldKeys, KeyedQueues, Limiter, type QueueEntry, withHeldKeys } from './queues.ts'
export { createSecretBox, type SecretBox } from './secret-box.ts'
export { formatSize, parseSize } from './size.ts'
export { steadyNow } from './steady-now.ts'
export { currentTask, type Task, withTask } from './task.ts'
export { Timing, Timings, timingBoundsMs } from './timing.ts'
export { waitFor } from './wait-for.ts'
