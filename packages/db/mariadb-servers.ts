import { setTimeout as pause } from 'node:timers/promises'
import {
  createConnection,
  createPool,
  type Pool,
  type PoolConnection,
  type RowDataPacket,
} from 'mysql2/promise'
import { CloudError, sysErrors } from '#kernel'
import { isConnectionLost, isFull, isNotReady, isRefusal } from './mariadb-errors.ts'
import { say, sessionOn, watchOver } from './mariadb-session.ts'
import { checkIdentity, encryption } from './mariadb-tls.ts'
import { databaseClosed, storageError } from './storage-errors.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface MariadbOptions {
  /** Members of one cluster, or one server. The first that answers is used until it fails. */
  readonly endpoints: readonly Endpoint[]
  readonly user: string
  readonly password: string
  readonly database: string
  /** Connections for reading; writes have one of their own. */
  readonly poolSize: number
  /** PEM of who vouches for the servers. When given, nothing is said to a server that does not prove its name or address by TLS. */
  readonly certificateAuthority?: string
  /** How long a call waits for a server to answer before it fails; 10 s when absent. */
  readonly patienceMs?: number
}

/** What a connection is for: a write must not wait behind the reads of a busy moment. */
export type Lane = 'read' | 'write'

type Pools = Readonly<Record<Lane, Pool>>

const IDLE_TRANSACTION_S = 4
const CONNECT_TIMEOUT_MS = 3_000
const PROBE_TIMEOUT_MS = 2_000
// How often it is looked whether an earlier server can be gone back to.
const RETURN_INTERVAL_MS = 5_000
const LONGEST_PAUSE_MS = 1_000

/** Connections to the one server in use, and the change to another when it fails. */
export class MariadbServers {
  readonly #options: MariadbOptions
  readonly #ready = new WeakSet<object>()
  readonly #reasons = new Map<string, string>()
  /** Looks at servers that are under way, so that many who wait for one ask it once. */
  readonly #probes = new Map<Endpoint, Promise<string | undefined>>()
  #returnedAt = Number.NEGATIVE_INFINITY
  #index = 0
  #pools: Pools
  #closed = false

  constructor(options: MariadbOptions) {
    if (options.endpoints.length === 0) throw new Error('a database needs at least one endpoint')
    this.#options = options
    this.#pools = this.#poolsOf(this.#endpoint)
  }

  /** A connection that is ready for use. Throws SYS.1016 naming every server and its reason when none answers. */
  async acquire(lane: Lane): Promise<PoolConnection> {
    const startedAt = performance.now()
    for (let failures = 1; ; failures += 1) {
      if (this.#closed) throw databaseClosed()
      const pools = this.#pools
      try {
        return await this.#readyConnection(pools, lane)
      } catch (error) {
        if (isRefusal(error)) throw this.#refused(error)
        this.#leave(pools, error)
      }
      if (failures % this.#options.endpoints.length !== 0) continue
      if (performance.now() - startedAt > (this.#options.patienceMs ?? 10_000)) throw this.#noneAnswers()
      await pause(Math.min(LONGEST_PAUSE_MS, 25 * 2 ** Math.min(10, failures)))
    }
  }

  /** Gives a connection back after `error` (or none): one that is broken, or of a server that is not ready, is not used again. */
  release(connection: PoolConnection, error?: unknown): void {
    if (isNotReady(error)) this.#leave(this.#pools, error)
    if (isConnectionLost(error) || isNotReady(error)) connection.destroy()
    else connection.release()
  }

  /**
   * Goes back to the first server that can be used. For processes that lose to each other because they write to different
   * members: so they meet at the same one. Otherwise one stays where it is.
   */
  async reconsider(): Promise<void> {
    if (performance.now() - this.#returnedAt < RETURN_INTERVAL_MS) return
    this.#returnedAt = performance.now()
    const pools = this.#pools
    for (const [index, endpoint] of this.#options.endpoints.slice(0, this.#index).entries()) {
      if ((await this.#probe(endpoint)) !== undefined) continue
      if (pools === this.#pools && !this.#closed) this.#use(index)
      return
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await endPools(this.#pools)
  }

  get #endpoint(): Endpoint {
    return this.#options.endpoints[this.#index] as Endpoint
  }

  /** Goes on to the next server, unless another caller did so already. */
  #leave(pools: Pools, error: unknown): void {
    if (pools !== this.#pools || this.#closed) return
    this.#reasons.set(nameOf(this.#endpoint), reasonOf(error))
    // There is nowhere to go: connections that still work are kept.
    if (this.#options.endpoints.length === 1) return
    this.#use((this.#index + 1) % this.#options.endpoints.length)
  }

  #use(index: number): void {
    const pools = this.#pools
    this.#index = index
    this.#pools = this.#poolsOf(this.#endpoint)
    // Whoever still uses a connection of it is told by the failure of what it asks.
    void endPools(pools)
  }

  /** Why a server cannot be used, or undefined. */
  #probe(endpoint: Endpoint): Promise<string | undefined> {
    let probe = this.#probes.get(endpoint)
    if (probe === undefined) {
      probe = probeOf(endpoint, this.#options).finally(() => this.#probes.delete(endpoint))
      this.#probes.set(endpoint, probe)
    }
    return probe
  }

  async #watch(pools: Pools, endpoint: Endpoint): Promise<string | undefined> {
    const reason = await this.#probe(endpoint)
    if (reason !== undefined) this.#leave(pools, new Error(reason))
    return reason
  }

  #poolsOf({ host, port }: Endpoint): Pools {
    const { user, password, database, poolSize } = this.#options
    const common = {
      ...{ host, port, user, password, database },
      ...encryption(this.#options, host),
      charset: 'utf8mb4',
      // Sums are decimals; nobody counts beyond 2^53.
      decimalNumbers: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // A stack for every statement costs more than the statement.
      trace: false,
      // Many statements go in one packet. Each is written out by `writeOut`.
      multipleStatements: true,
    }
    return {
      read: createPool({ ...common, connectionLimit: poolSize }),
      write: createPool({ ...common, connectionLimit: 1 }),
    }
  }

  async #readyConnection(pools: Pools, lane: Lane): Promise<PoolConnection> {
    const endpoint = this.#endpoint
    const connection = await pools[lane].getConnection()
    const identity = connection.connection
    if (this.#ready.has(identity)) return connection
    watchOver(connection, () => this.#watch(pools, endpoint))
    try {
      checkIdentity(connection, endpoint, this.#options)
      await prepareSession(connection, lane)
      // What is left of a transaction that a cluster gave up in the middle of a packet must not be committed bit by bit.
      if (lane === 'write') await say(connection, 'SET SESSION autocommit = 0')
    } catch (error) {
      connection.destroy()
      throw error
    }
    this.#ready.add(identity)
    return connection
  }

  #refused(error: unknown): CloudError {
    return storageError(`the database server ${nameOf(this.#endpoint)} refuses us`, error)
  }

  #noneAnswers(): CloudError {
    const told = [...this.#reasons].map(([name, reason]) => `${name}: ${reason}`).join('; ')
    return new CloudError(sysErrors.ioError, `no database server answers (${told}). Nothing was changed`)
  }
}

const members = new WeakSet<object>()

/** True when the server is a member of a cluster. */
export function isOfCluster(connection: PoolConnection): boolean {
  return members.has(connection.connection)
}

/** Same meaning of statements on every server; a member of a cluster must be in it, and know what was committed elsewhere. */
async function prepareSession(connection: PoolConnection, lane: Lane): Promise<void> {
  const read = async (sql: string) => (await sessionOn(connection).rows(sql, []))[0]?.at(-1)
  // A backslash is a character like any other, as in SQLite.
  await say(
    connection,
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION', autocommit = 1, innodb_lock_wait_timeout = 10",
  )
  // A process that stops inside a transaction, or whose machine is gone, must not keep the others from their turn for long.
  await say(connection, `SET SESSION idle_transaction_timeout = ${IDLE_TRANSACTION_S}`)
  // What a unit reads is what its guarded updates will meet: the newest that is committed, not a snapshot of earlier.
  const access = lane === 'read' ? 'READ ONLY' : 'READ WRITE'
  await say(connection, `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, ${access}`)
  if (Number(await read('SELECT @@wsrep_on')) !== 1) return
  if ((await read("SHOW STATUS LIKE 'wsrep_ready'")) !== 'ON')
    throw new Error('it is not a ready member of its cluster')
  members.add(connection.connection)
  // Reads see what was committed through any member before they were asked. So does the first thing a writer does; the rest is
  // proved by certification.
  await say(connection, 'SET SESSION wsrep_sync_wait = 1')
  if (lane === 'read') return
  await say(connection, 'SELECT 1')
  await say(connection, 'SET SESSION wsrep_sync_wait = 0')
}

/** Asks by a connection of its own, whose answer nothing else holds up. */
async function probeOf({ host, port }: Endpoint, options: MariadbOptions): Promise<string | undefined> {
  const { user, password, database } = options
  const secure = encryption(options, host)
  const login = { host, port, user, password, database, connectTimeout: PROBE_TIMEOUT_MS, ...secure }
  try {
    const connection = await createConnection(login)
    // Told by what is asked.
    connection.on('error', () => undefined)
    const question = { sql: "SHOW STATUS LIKE 'wsrep_ready'", timeout: PROBE_TIMEOUT_MS }
    const [[status]] = await connection
      .query<(RowDataPacket & { Value: string })[]>(question)
      .finally(() => connection.destroy())
    // Without a cluster there is nothing it could be ready for.
    const isReady = status === undefined || status.Value === 'ON'
    return isReady ? undefined : 'it is not a ready member of its cluster'
  } catch (error) {
    // A server that says no is there.
    return isRefusal(error) || isFull(error) ? undefined : reasonOf(error)
  }
}

async function endPools(pools: Pools): Promise<void> {
  // Connections that are broken already cannot say goodbye.
  await Promise.allSettled([pools.read.end(), pools.write.end()])
}

function nameOf({ host, port }: Endpoint): string {
  return `${host}:${port}`
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT') return 'it offers no TLS, and nothing is said to it without'
  return message || code || String(error)
}
