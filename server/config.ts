import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import type { RabbitOptions } from '#bus'
import type { MariadbOptions } from '#db'
import type { ListenTarget } from '#http'
import { readBus } from './bus-config.ts'
import { readDatabase } from './database-config.ts'

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
}

export const usage = `node server/main.ts --data-dir DIR [--api [HOST:]PORT|fd:N] [--ui [HOST:]PORT|fd:N] [--address NAME] [--database mysql://USER@HOST[:PORT],.../NAME [--database-password-file FILE] [--bus amqp://USER@HOST[:PORT],.../VHOST [--bus-password-file FILE]]]`

/** Reads the command line. Throws one line for each problem, all of them at once. */
export function readConfig(argv: readonly string[]): ServerConfig {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      'data-dir': { type: 'string' },
      api: { type: 'string', default: '127.0.0.1:8080' },
      ui: { type: 'string' },
      database: { type: 'string' },
      'database-password-file': { type: 'string' },
      bus: { type: 'string' },
      'bus-password-file': { type: 'string' },
      address: { type: 'string', default: hostname() },
    },
  })
  const problems: string[] = []
  const target = (name: string, text: string): ListenTarget => {
    const parsed = parseTarget(text)
    if (parsed === undefined) problems.push(`--${name} must be [HOST:]PORT or fd:N, got '${text}'`)
    return parsed ?? { port: 0 }
  }
  const dataDir = values['data-dir']
  if (dataDir === undefined)
    problems.push('--data-dir is missing: the directory of the database and the keys')
  const api = target('api', values.api)
  const ui = values.ui === undefined ? undefined : target('ui', values.ui)
  const database = readDatabase(
    {
      url: values.database,
      passwordFile: values['database-password-file'],
      password: process.env.ZSTACK_DATABASE_PASSWORD,
    },
    problems,
  )
  const bus = readBus(
    {
      url: values.bus,
      passwordFile: values['bus-password-file'],
      password: process.env.ZSTACK_BUS_PASSWORD,
      hasDatabase: values.database !== undefined,
    },
    problems,
  )
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return { dataDir: dataDir ?? '', database, bus, api, ui, address: values.address }
}

function parseTarget(text: string): ListenTarget | undefined {
  const inherited = /^fd:(\d+)$/.exec(text)
  if (inherited !== null) return { fd: Number(inherited[1]) }
  const match = /^(?:(.+):)?(\d{1,5})$/.exec(text)
  if (match === null || Number(match[2]) > 65535) return undefined
  return match[1] === undefined ? { port: Number(match[2]) } : { host: match[1], port: Number(match[2]) }
}
