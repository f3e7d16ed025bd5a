import type { Connection } from './connection.ts'
import { ServerFailure } from './failure.ts'
import type { CliHome } from './home.ts'
import type { Say } from './texts.ts'

/** What the server tells about its APIs, as far as this tool uses it. */
export interface ServerContract {
  readonly version: string
  readonly apis: readonly ApiDescription[]
  readonly inventories: readonly InventoryDescription[]
}

export interface ApiDescription {
  readonly name: string
  readonly message: string
  readonly kind: 'sync' | 'job' | 'query'
  readonly needSession: boolean
  readonly summary: string
  readonly example: Readonly<Record<string, unknown>>
  readonly params: readonly ParameterDescription[]
  readonly result: readonly { readonly name: string; readonly type: string }[]
  readonly inventory?: string
}

export interface ParameterDescription {
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly description: string
  readonly validValues?: readonly string[]
  readonly range?: readonly [number, number]
  readonly max?: number
  readonly default?: unknown
}

export interface InventoryDescription {
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: string }[]
  readonly relations: Readonly<Record<string, string>>
}

export interface LoadedContract {
  readonly contract: ServerContract
  /** The server could not be asked; this is what it said last time. */
  readonly isStale: boolean
}

interface Cached {
  readonly etag: string
  readonly contract: ServerContract
}

/** The server's contract; kept in the home and only fetched again when it changed. Throws ServerFailure. */
export async function loadContract(connection: Connection, home: CliHome, say: Say): Promise<LoadedContract> {
  const name = `contract-${connection.address}.json`
  const cached = readCached(await home.readCache(name))
  let response: Response
  try {
    const headers = cached === undefined ? {} : { 'if-none-match': cached.etag }
    response = await connection.get('/zstack/v1/contract', headers)
  } catch (error) {
    if (!(error instanceof ServerFailure)) throw error
    if (cached !== undefined) return { contract: cached.contract, isStale: true }
    throw error
  }
  if (response.status === 304 && cached !== undefined) return { contract: cached.contract, isStale: false }
  const text = await response.text()
  const contract = response.ok ? readContract(text) : undefined
  if (contract === undefined) throw new ServerFailure(say('noContract', connection.address, response.status))
  const etag = response.headers.get('etag')
  if (etag !== null) await home.writeCache(name, JSON.stringify({ etag, contract } satisfies Cached))
  return { contract, isStale: false }
}

function readCached(text: string | undefined): Cached | undefined {
  if (text === undefined) return undefined
  try {
    const cached = JSON.parse(text) as Partial<Cached>
    const isWhole = typeof cached.etag === 'string' && Array.isArray(cached.contract?.apis)
    return isWhole ? (cached as Cached) : undefined
  } catch {
    // A damaged cache is no cache; it is written anew.
    return undefined
  }
}

function readContract(text: string): ServerContract | undefined {
  try {
    const contract = JSON.parse(text) as Partial<ServerContract>
    return Array.isArray(contract.apis) && Array.isArray(contract.inventories)
      ? (contract as ServerContract)
      : undefined
  } catch {
    // Something else answers at this address; the caller says so.
    return undefined
  }
}
