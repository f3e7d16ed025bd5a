import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { RabbitOptions } from '#bus'
import type { MariadbOptions } from '#db'
import type { ListenTarget } from '#http'
import { readBus } from './bus-config.ts'
import { readDatabase } from './database-config.ts'
import { readFlags } from './flags.ts'

/** How a management process is told where to live. */
export interface ServerConfig {
  readonly dataDir: string
  /** SQLite in the data directory when undefined. */
  readonly database: MariadbOptions | undefined
  /** The node works alone when undefined. */
  readonly bus: RabbitOptions | undefined
  readonly api: ListenTarget
  readonly ui: ListenTarget | undefined
  /** Address or name under which clients and other nodes reach this one. */
  readonly address: string
  /** Only tell what a start would change in the schema. */
  readonly showMigrations: boolean
}

export const usage = `node server/main.ts --data-dir DIR [--api [HOST:]PORT|fd:N] [--ui [HOST:]PORT|fd:N] [--address NAME] [--database mysql://USER@HOST[:PORT],.../NAME [--database-password-file FILE] [--database-ca FILE] [--bus amqp://USER@HOST[:PORT],.../VHOST [--bus-password-file FILE] [--bus-ca FILE]]] [--show-migrations]`

const flags = [
  ...(['data-dir', 'api', 'ui', 'address', 'database', 'database-password-file'] as const),
  'database-ca' as const,
  ...(['bus', 'bus-password-file', 'bus-ca'] as const),
]
const switches = ['show-migrations'] as const

/** Reads the command line. Throws one line for each problem, all of them at once. */
export function readConfig(argv: readonly string[]): ServerConfig {
  const problems: string[] = []
  const values = readFlags(argv, { flags, switches }, problems)
  const target = (name: string, text: string): ListenTarget => {
    const parsed = parseTarget(text)
    if (parsed === undefined) problems.push(`--${name} must be [HOST:]PORT or fd:N, got '${text}'`)
    return parsed ?? { port: 0 }
  }
  const dataDir = values['data-dir']
  if (dataDir === undefined && !problems.includes('--data-dir needs a value'))
    problems.push('--data-dir is missing: the directory of the database and the keys')
  const api = target('api', values.api ?? '127.0.0.1:8080')
  const ui = values.ui === undefined ? undefined : target('ui', values.ui)
  if (ui !== undefined && isSamePlace(api, ui))
    problems.push(`--api and --ui cannot both be ${values.ui}; choose another for one of them`)
  if (!isName(values.address ?? 'x'))
    problems.push(`--address must be a host name or an address, got '${values.address}'`)
  const database = readDatabase(
    {
      url: values.database,
      passwordFile: values['database-password-file'],
      authorityFile: values['database-ca'],
      password: process.env.ZSTACK_DATABASE_PASSWORD,
    },
    problems,
  )
  const bus = readBus(
    {
      url: values.bus,
      passwordFile: values['bus-password-file'],
      authorityFile: values['bus-ca'],
      password: process.env.ZSTACK_BUS_PASSWORD,
      hasDatabase: values.database !== undefined,
    },
    problems,
  )
  if (problems.length > 0) throw new Error(problems.join('\n'))
  const address = values.address ?? hostname()
  const showMigrations = values['show-migrations'] === 'true'
  return { dataDir: dataDir ?? '', database, bus, api, ui, address, showMigrations }
}

function isSamePlace(a: ListenTarget, b: ListenTarget): boolean {
  if ('fd' in a || 'fd' in b) return 'fd' in a && 'fd' in b && a.fd === b.fd
  return (
    a.port !== 0 && a.port === b.port && (a.host === b.host || a.host === undefined || b.host === undefined)
  )
}

function isName(text: string): boolean {
  return isIP(text) !== 0 || /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(text)
}

function parseTarget(text: string): ListenTarget | undefined {
  const inherited = /^fd:(\d+)$/.exec(text)
  if (inherited !== null) return { fd: Number(inherited[1]) }
  const match = /^(?:(.+):)?(\d{1,5})$/.exec(text)
  if (match === null || Number(match[2]) > 65535) return undefined
  return match[1] === undefined ? { port: Number(match[2]) } : { host: match[1], port: Number(match[2]) }
}
