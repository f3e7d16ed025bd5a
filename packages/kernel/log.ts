import { type Logger as PinoLogger, pino } from 'pino'
import { currentTask } from './task.ts'

/** A structured logger: fixed words as the message, data in the fields. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Logger
}

// Secrets travel under these names (or names that end so) in inputs; a log line that carries one by accident shows none.
const SECRET_NAME = /(password|token|secret|privatekey|sessionuuid|authorization|^key)$/i
// Deeper than any input; also what stops at a circle.
const MAX_DEPTH = 12

/** The same value with every secret replaced, at any depth; copied only where it changes. */
function redact(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return '[too deep]'
  if (Array.isArray(value)) {
    const items = value.map((item) => redact(item, depth + 1))
    return items.some((item, i) => item !== value[i]) ? items : value
  }
  // Errors and other class instances have a form of their own in the log.
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  let copy: Record<string, unknown> | undefined
  for (const [name, member] of Object.entries(value)) {
    const hide = SECRET_NAME.test(name) && member !== undefined && member !== null
    const shown = hide ? '[secret]' : redact(member, depth + 1)
    if (shown === member) continue
    copy ??= { ...value }
    copy[name] = shown
  }
  return copy ?? value
}

/** What may be shown of inputs to people: the same value with every secret replaced, at any depth. */
export function withoutSecrets(value: unknown): unknown {
  return redact(value, 0)
}

const redactFields = (fields: object) => redact(fields, 0) as Record<string, unknown>

/** Every line says for which API call it was written, wherever it was. */
const taskFields = () => {
  const task = currentTask()
  return task === undefined ? {} : { taskId: task.id }
}

/** The process's logger: JSON lines on `stderr` by default, level from LOG_LEVEL or `info`; made for a task, they carry its `taskId`. */
export function createLogger(options: { name: string; level?: string; fd?: number }): Logger {
  const level = options.level ?? process.env.LOG_LEVEL ?? 'info'
  const target = pino(
    { name: options.name, level, formatters: { log: redactFields }, mixin: taskFields },
    pino.destination({ dest: options.fd ?? 2, sync: true }),
  )
  return redactingChildren(target)
}

/** pino formats what a line carries, but not what a child adds to each of its lines. */
function redactingChildren(target: PinoLogger): Logger {
  return {
    debug: (fields, message) => target.debug(fields, message),
    info: (fields, message) => target.info(fields, message),
    warn: (fields, message) => target.warn(fields, message),
    error: (fields, message) => target.error(fields, message),
    child: (fields) => redactingChildren(target.child(redactFields(fields))),
  }
}

/** A logger that drops everything, for tests that do not look at logs. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}
