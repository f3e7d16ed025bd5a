import { pino } from 'pino'

/** A structured logger: fixed words as the message, data in the fields. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Logger
}

// Secrets travel under these names in inputs; a log line that carries one by accident shows none.
const SECRETS = ['password', 'token', 'secret', 'privateKey', 'key']
const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

/** The process's logger: JSON lines on `stderr` by default, level from LOG_LEVEL or `info`. */
export function createLogger(options: { name: string; level?: string; fd?: number }): Logger {
  const level = options.level ?? process.env.LOG_LEVEL ?? 'info'
  return pino(
    { name: options.name, level, redact: { paths, censor: '[secret]' } },
    pino.destination({ dest: options.fd ?? 2, sync: true }),
  )
}

/** A logger that drops everything, for tests that do not look at logs. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}
