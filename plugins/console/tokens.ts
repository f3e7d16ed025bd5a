import { createHash } from 'node:crypto'
import { newToken, steadyNow } from '#kernel'

/** What a console token stands for. */
export interface ConsoleGrant {
  readonly vmUuid: string
  readonly accountUuid: string
  /** The session that asked; the token dies with it. */
  readonly sessionUuid: string | undefined
  readonly expiresAtMs: number
}

// A client that asks in a loop loses its own oldest tokens and fills no memory.
const MAX_FOR_EACH_ACCOUNT = 64

/**
 * Console tokens that were given out and not yet used. They live in memory only, and there only as hashes: neither a dump of
 * the database nor one of the process gives a usable one. A token is gone once it is shown, whatever came of it.
 */
export class ConsoleTokens {
  readonly #grants = new Map<string, ConsoleGrant>()
  readonly #now: () => number

  constructor(now: () => number = steadyNow) {
    this.#now = now
  }

  get size(): number {
    return this.#grants.size
  }

  issue(grant: ConsoleGrant): string {
    this.#makeRoom(grant.accountUuid)
    const token = newToken()
    this.#grants.set(hash(token), grant)
    return token
  }

  /** The grant of a token, once; undefined for one that is unknown, used or too old. */
  take(token: string): ConsoleGrant | undefined {
    const key = hash(token)
    const grant = this.#grants.get(key)
    this.#grants.delete(key)
    return grant !== undefined && this.#now() < grant.expiresAtMs ? grant : undefined
  }

  #makeRoom(accountUuid: string): void {
    const own: string[] = []
    for (const [key, grant] of this.#grants) {
      if (grant.expiresAtMs <= this.#now()) this.#grants.delete(key)
      else if (grant.accountUuid === accountUuid) own.push(key)
    }
    for (const key of own.slice(0, Math.max(0, own.length - MAX_FOR_EACH_ACCOUNT + 1)))
      this.#grants.delete(key)
  }
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
