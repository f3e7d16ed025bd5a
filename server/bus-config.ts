import type { RabbitOptions } from '#bus'
import { readAuthority, readEndpoints, readPassword, refusePassword } from './endpoints.ts'

/** What the command line and the environment say about the message brokers. */
export interface BusSettings {
  /** `amqp://USER@HOST[:PORT][,HOST[:PORT]...]/VHOST`, `amqps` for TLS; the node is alone when absent. */
  readonly url: string | undefined
  readonly passwordFile: string | undefined
  /** Certificates that vouch for the brokers, for `amqps`; those of the system when absent. */
  readonly authorityFile?: string | undefined
  /** The environment variable ZSTACK_BUS_PASSWORD. */
  readonly password: string | undefined
  /** Whether --database was given: nodes that share work share a database. */
  readonly hasDatabase: boolean
}

const VARIABLE = 'ZSTACK_BUS_PASSWORD'
const PORTS = { amqp: 5672, amqps: 5671 } as const
const form = '--bus must be amqp://USER@HOST[:PORT][,HOST[:PORT]...][/VHOST], or amqps:// for TLS'

/** Where RabbitMQ is, or undefined for a node that works alone. Adds one line to `problems` for each thing that is wrong. */
export function readBus(settings: BusSettings, problems: string[]): RabbitOptions | undefined {
  const { url, passwordFile, authorityFile, hasDatabase } = settings
  if (url === undefined) {
    if (passwordFile !== undefined) problems.push('--bus-password-file needs --bus')
    if (authorityFile !== undefined) problems.push('--bus-ca needs --bus')
    return undefined
  }
  if (!hasDatabase)
    problems.push(
      '--bus needs --database: several management nodes share one MariaDB, SQLite is for one alone',
    )
  const match = /^(amqps?):\/\/([^@/]+)@([^@/]+)(?:\/([\w.-]*))?$/.exec(url)
  if (match === null) {
    // Not repeated here: it may hold a password.
    problems.push(form)
    return undefined
  }
  const [, scheme, user = '', hosts = '', virtualHost] = match
  refusePassword(user, '--bus', VARIABLE, problems)
  const tls = scheme === 'amqps'
  if (authorityFile !== undefined && !tls)
    problems.push('--bus-ca is for amqps://; with amqp:// nothing is encrypted')
  const certificateAuthority = readAuthority('--bus-ca', authorityFile, problems)
  const endpoints = readEndpoints(hosts, tls ? PORTS.amqps : PORTS.amqp, form, problems)
  const source = {
    option: '--bus',
    file: passwordFile,
    fromEnvironment: settings.password,
    variable: VARIABLE,
  }
  return {
    brokers: endpoints.map(({ host, port }) => `${host}:${port}`),
    user: user.replace(/:.*/, ''),
    password: readPassword(source, problems),
    virtualHost: virtualHost === undefined || virtualHost === '' ? '/' : virtualHost,
    tls,
    ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
  }
}
