import { fstatSync } from 'node:fs'
import { createServer } from 'node:net'
import { probeBrokers, type RabbitOptions } from '#bus'
import { type MariadbOptions, openMariadb } from '#db'
import type { ListenTarget } from '#http'
import { describeError } from '#kernel'
import type { ServerConfig } from './config.ts'
import { checkDataDir } from './data-dir.ts'
import { checkSharedKeys } from './shared-keys.ts'

/**
 * What would keep a management process with this configuration from working, one line each and all of it at once. Nothing is made or
 * changed, so that a start that is refused leaves nothing behind.
 */
export async function findProblems(config: ServerConfig): Promise<string[]> {
  const { dataDir, database, bus, api, ui } = config
  const found = await Promise.all([
    checkDataDir(dataDir),
    checkListener('--api', api),
    ui === undefined ? [] : checkListener('--ui', ui),
    database === undefined ? [] : checkDatabase(database, bus === undefined ? undefined : dataDir),
    bus === undefined ? [] : checkBrokers(bus),
  ])
  return found.flat()
}

// A new database has no tables yet.
const KEY_TABLE =
  "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'ClusterKeyVO'"

async function checkListener(option: string, target: ListenTarget): Promise<string[]> {
  if ('fd' in target) return checkInherited(option, target.fd)
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ ...target, exclusive: true }, resolve)
    })
    await new Promise((resolve) => server.close(resolve))
    return []
  } catch (error) {
    return [`${option} ${reasonOf(error as NodeJS.ErrnoException)}`]
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; stop it or choose another port',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'there is no such host name',
  EACCES: 'this user may not; choose a port above 1023',
}

function reasonOf({ code = '', message }: NodeJS.ErrnoException): string {
  const reason = reasons[code]
  return `cannot listen: ${message}${reason === undefined ? '' : ` (${reason})`}`
}

function checkInherited(option: string, fd: number): string[] {
  try {
    if (fstatSync(fd).isSocket()) return []
    return [`${option} fd:${fd} is no socket`]
  } catch {
    return [`${option} fd:${fd} is not open; whoever starts this process has to pass it on`]
  }
}

/** `dataDir` is given for a node that is one of several. */
async function checkDatabase(options: MariadbOptions, dataDir: string | undefined): Promise<string[]> {
  const db = openMariadb({ ...options, poolSize: 1 })
  try {
    const known = await db.all(KEY_TABLE, [])
    return dataDir === undefined || known.length === 0 ? [] : await checkSharedKeys(db, dataDir)
  } catch (error) {
    return [`--database ${describeError(error)}`]
  } finally {
    await db.close()
  }
}

async function checkBrokers(options: RabbitOptions): Promise<string[]> {
  const reason = await probeBrokers(options)
  return reason === undefined ? [] : [`--bus ${reason}`]
}
