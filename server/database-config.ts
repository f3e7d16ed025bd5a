import type { MariadbOptions } from '#db'
import { readAuthority, readEndpoints, readPassword, refusePassword } from './endpoints.ts'

/** What the command line and the environment say about the database. */
export interface DatabaseSettings {
  /** `mysql://USER@HOST[:PORT][,HOST[:PORT]...]/NAME`; SQLite in the data directory when absent. */
  readonly url: string | undefined
  readonly passwordFile: string | undefined
  /** Certificates that vouch for the servers; connections are encrypted when given. */
  readonly authorityFile?: string | undefined
  /** The environment variable ZSTACK_DATABASE_PASSWORD. */
  readonly password: string | undefined
}

const VARIABLE = 'ZSTACK_DATABASE_PASSWORD'
const DEFAULT_PORT = 3306
const POOL_SIZE = 8
const form = '--database must be mysql://USER@HOST[:PORT][,HOST[:PORT]...]/NAME'

/** Where MariaDB is, or undefined for SQLite. Adds one line to `problems` for each thing that is wrong. */
export function readDatabase(settings: DatabaseSettings, problems: string[]): MariadbOptions | undefined {
  const { url, passwordFile, authorityFile } = settings
  if (url === undefined) {
    if (passwordFile !== undefined) problems.push('--database-password-file needs --database')
    if (authorityFile !== undefined) problems.push('--database-ca needs --database')
    return undefined
  }
  const match = /^(?:mysql|mariadb):\/\/([^@/]+)@([^@/]+)\/(\w+)$/.exec(url)
  if (match === null) {
    // Not repeated here: it may hold a password.
    problems.push(form)
    return undefined
  }
  const [, user = '', hosts = '', database = ''] = match
  refusePassword(user, '--database', VARIABLE, problems)
  const endpoints = readEndpoints(hosts, DEFAULT_PORT, form, problems)
  const source = {
    option: '--database',
    file: passwordFile,
    fromEnvironment: settings.password,
    variable: VARIABLE,
  }
  const password = readPassword(source, problems)
  const certificateAuthority = readAuthority('--database-ca', authorityFile, problems)
  return {
    ...{ endpoints, user: user.replace(/:.*/, ''), password, database, poolSize: POOL_SIZE },
    ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
  }
}
