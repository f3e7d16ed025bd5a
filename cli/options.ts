import { parseArgs } from 'node:util'
import { UsageError } from './failure.ts'
import type { Say } from './texts.ts'

export interface Options {
  readonly host: string
  readonly port: number
  readonly isTable: boolean
  /** JSON also where people get words by default. */
  readonly isJson: boolean
  /** Passwords stay in the history of the interactive mode. */
  readonly keepPasswords: boolean
  readonly wantsHelp: boolean
  /** The command: API name and parameters. */
  readonly words: readonly string[]
}

const known = {
  host: { type: 'string', short: 'H', default: 'localhost' },
  port: { type: 'string', short: 'p', default: process.env.ZSTACK_API_PORT ?? '8080' },
  table: { type: 'boolean', short: 't', default: false },
  json: { type: 'boolean', short: 'j', default: false },
  'no-secure': { type: 'boolean', short: 's', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Reads the command line; options may stand anywhere. Throws UsageError. */
export function parseOptions(argv: readonly string[], say: Say): Options {
  const { values, positionals } = read(argv, say)
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError(say('badPort', values.port))
  return {
    host: values.host,
    port,
    isTable: values.table && !values.json,
    isJson: values.json,
    keepPasswords: values['no-secure'],
    wantsHelp: values.help,
    words: positionals,
  }
}

function read(argv: readonly string[], say: Say) {
  try {
    return parseArgs({ args: [...argv], options: known, allowPositionals: true })
  } catch (error) {
    throw new UsageError(`${say('badOptions')}: ${(error as Error).message}`)
  }
}
