import { execFile, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConnection } from 'mysql2/promise'
import type { Endpoint } from '#db'
import { waitFor } from '#kernel'

/** Where a private server listens; its user is root, without a password. */
export interface MariadbServer extends Endpoint {
  readonly pid: number
}

/** Files of a server's certificate and its key, PEM. */
export interface ServerCertificate {
  readonly certificateFile: string
  readonly keyFile: string
}

export interface MariadbServerOptions {
  /** Waits for the disk at each commit, as a real one does; tests do without. */
  readonly durable: boolean
  /** Offers TLS with it; without one it offers none. */
  readonly certificateFor?: (host: string) => Promise<ServerCertificate>
}

let made = 0

/**
 * Starts a server of this process's own on a loopback address; it ends and its files go with the process, also when that is
 * killed (then the files stay). Throws what the server says when it does not start.
 */
export async function startMariadbServer({
  durable,
  certificateFor,
}: MariadbServerOptions): Promise<MariadbServer> {
  const instance = made++
  // Without a disk it starts several times faster; the name ends in the pid of its maker, as all of ours in shared places.
  const place = !durable && existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const dir = join(place, `zstack-mariadb-${instance === 0 ? '' : `${instance}-`}${process.pid}`)
  mkdirSync(dir, { mode: 0o700 })
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
  // Small files: a server for one test file is made in half a second.
  const sizes = ['--innodb-log-file-size=32M', '--innodb-data-file-path=ibdata1:4M:autoextend']
  const common = ['--no-defaults', `--datadir=${join(dir, 'data')}`, ...sizes, ...asRoot]
  const install = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
  try {
    await promisify(execFile)('mariadb-install-db', [...common, ...install])
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    throw new Error('no MariaDB can be made here; is the package mariadb-server installed?', { cause: error })
  }
  // No two processes that live at the same time have the same, so no port is asked for and none is raced for.
  const host = `127.0.${98 + instance}.${1 + (process.pid % 250)}`
  const port = 10_000 + Math.floor(process.pid / 250)
  const commit = durable
    ? ['--innodb-flush-log-at-trx-commit=1']
    : ['--innodb-flush-log-at-trx-commit=0', '--innodb-flush-method=nosync']
  const certificate = await certificateFor?.(host)
  const tls =
    certificate === undefined
      ? ['--skip-ssl']
      : [`--ssl-cert=${certificate.certificateFile}`, `--ssl-key=${certificate.keyFile}`]
  const errorLog = join(dir, 'err.log')
  const log = openSync(errorLog, 'a')
  // The kernel ends it when we are gone, however we went.
  const args = ['--pdeathsig', 'KILL', 'mariadbd', ...common, ...commit, ...tls, ...listen(dir, host, port)]
  const child = spawn('setpriv', args, { stdio: ['ignore', log, log] })
  closeSync(log)
  child.unref()
  process.once('exit', () => {
    child.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
  })
  const answers = async () => {
    if (child.exitCode !== null)
      throw new Error(`mariadbd ended: ${readFileSync(errorLog, 'utf8').slice(-500)}`)
    return isReachable({ host, port })
  }
  await waitFor('the private MariaDB answers', answers, { intervalMs: 10, timeoutMs: 30_000 })
  return { host, port, pid: child.pid ?? 0 }
}

function listen(dir: string, host: string, port: number): string[] {
  return [
    `--socket=${join(dir, 'sock')}`,
    `--pid-file=${join(dir, 'pid')}`,
    `--bind-address=${host}`,
    `--port=${port}`,
    '--skip-name-resolve',
    '--skip-log-bin',
    '--performance-schema=OFF',
    '--max-connections=500',
    '--innodb-buffer-pool-size=128M',
    // Tables come and go by the hundred: no files of their own.
    '--innodb-file-per-table=0',
    '--character-set-server=utf8mb4',
  ]
}

async function isReachable(endpoint: Endpoint): Promise<boolean> {
  try {
    const connection = await createConnection({ ...endpoint, user: 'root' })
    await connection.end()
    return true
  } catch {
    // What it says while it starts is not interesting; when it never answers, the log is.
    return false
  }
}
