/** What the line needs to know of who stands in it. */
export interface InLine {
  readonly accountUuid: string
  readonly key: string | undefined
  /** Grows with each arrival. */
  readonly seq: number
}

/**
 * Who is next: accounts take turns, an account's own come in the order they arrived, and of one key only the first is in the line
 * at all. Those after it wait behind the key until it has ended, so that a thousand calls on one object hold up only each other.
 */
export class JobLine<T extends InLine> {
  /** Who may start, oldest first; the order of the accounts is that of their turns. */
  readonly #ready = new Map<string, T[]>()
  /** The keys of those who may start or have started, with who comes after them. */
  readonly #behind = new Map<string, T[]>()

  get isEmpty(): boolean {
    return this.#ready.size === 0
  }

  /** Takes the key for one who starts without standing in line; false when somebody has it. */
  claim(key: string | undefined): boolean {
    if (key === undefined) return true
    if (this.#behind.has(key)) return false
    this.#behind.set(key, [])
    return true
  }

  add(entry: T): void {
    if (this.claim(entry.key)) this.#makeReady(entry)
    else this.#behind.get(entry.key as string)?.push(entry)
  }

  /** Takes out whose turn it is; that one's key stays taken until `passOn`. */
  next(): T | undefined {
    const [turn] = this.#ready
    if (turn === undefined) return undefined
    const [account, entries] = turn
    const entry = entries.shift()
    // To the end of the line of accounts.
    this.#ready.delete(account)
    if (entries.length > 0) this.#ready.set(account, entries)
    return entry
  }

  /** The one who had the key has ended: it is the next one's. */
  passOn(key: string | undefined): void {
    if (key === undefined) return
    const next = this.#behind.get(key)?.shift()
    if (next === undefined) this.#behind.delete(key)
    else this.#makeReady(next)
  }

  /** Takes out one who gave up waiting. */
  remove(entry: T): void {
    const { accountUuid, key } = entry
    if (key !== undefined && take(this.#behind.get(key), entry)) return
    const entries = this.#ready.get(accountUuid)
    if (!take(entries, entry)) return
    if (entries?.length === 0) this.#ready.delete(accountUuid)
    this.passOn(key)
  }

  isBehind(entry: T): boolean {
    return entry.key !== undefined && (this.#behind.get(entry.key)?.includes(entry) ?? false)
  }

  /** Forgets all who wait. */
  clear(): void {
    this.#ready.clear()
    for (const behind of this.#behind.values()) behind.length = 0
  }

  /** Who waited for a key was there before those who came to the account meanwhile. */
  #makeReady(entry: T): void {
    const entries = this.#ready.get(entry.accountUuid)
    if (entries === undefined) {
      this.#ready.set(entry.accountUuid, [entry])
      return
    }
    const last = entries.at(-1)
    const at = last === undefined || last.seq < entry.seq ? -1 : entries.findIndex((e) => e.seq > entry.seq)
    if (at < 0) entries.push(entry)
    else entries.splice(at, 0, entry)
  }
}

function take<T>(entries: T[] | undefined, entry: T): boolean {
  const at = entries?.indexOf(entry) ?? -1
  if (at >= 0) entries?.splice(at, 1)
  return at >= 0
}
