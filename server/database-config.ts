import { readFileSync } from 'node:fs'
import type { Endpoint, MariadbOptions } from '#db'

/** What the command line and the environment say about the database. */
export interface DatabaseSettings {
  /** `mysql://USER@HOST[:PORT][,HOST[:PORT]...]/NAME`; SQLite in the data directory when absent. */
  readonly url: string | undefined
  readonly passwordFile: string | undefined
  /** The environment variable ZSTACK_DATABASE_PASSWORD. */
  readonly password: string | undefined
}

const DEFAULT_PORT = 3306
const POOL_SIZE = 8
const form = '--database must be mysql://USER@HOST[:PORT][,HOST[:PORT]...]/NAME'

/** Where MariaDB is, or undefined for SQLite. Adds one line to `problems` for each thing that is wrong. */
export function readDatabase(settings: DatabaseSettings, problems: string[]): MariadbOptions | undefined {
  const { url, passwordFile } = settings
  if (url === undefined) {
    if (passwordFile !== undefined) problems.push('--database-password-file needs --database')
    return undefined
  }
  const match = /^(?:mysql|mariadb):\/\/([^@/]+)@([^@/]+)\/(\w+)$/.exec(url)
  if (match === null) {
    // Not repeated here: it may hold a password.
    problems.push(form)
    return undefined
  }
  const [, user = '', hosts = '', database = ''] = match
  if (user.includes(':'))
    problems.push(
      '--database must not hold the password, everybody sees it there; use --database-password-file or ZSTACK_DATABASE_PASSWORD',
    )
  const endpoints = hosts.split(',').flatMap((host) => readEndpoint(host, problems))
  const password = readPassword(settings, problems)
  return { endpoints, user: user.replace(/:.*/, ''), password, database, poolSize: POOL_SIZE }
}

function readEndpoint(text: string, problems: string[]): Endpoint[] {
  const [, bracketed, plain, port = String(DEFAULT_PORT)] =
    /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host !== undefined && Number(port) > 0 && Number(port) < 65_536) return [{ host, port: Number(port) }]
  problems.push(`${form}; '${text}' is no HOST[:PORT]`)
  return []
}

function readPassword({ passwordFile, password }: DatabaseSettings, problems: string[]): string {
  if (passwordFile === undefined) {
    if (password === undefined)
      problems.push(
        '--database needs a password: give --database-password-file FILE or set ZSTACK_DATABASE_PASSWORD',
      )
    return password ?? ''
  }
  try {
    return readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    problems.push(`--database-password-file cannot be read: ${(error as Error).message}`)
    return ''
  }
}
