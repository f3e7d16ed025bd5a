import { randomBytes, randomUUID } from 'node:crypto'

/** A new resource uuid: 32 lower-case hex digits, version 4, no dashes (the form every client expects). */
export function newUuid(): string {
  return randomUUID().replaceAll('-', '')
}

// Ids of one millisecond are told apart by more than chance: this counts on, and wraps.
let counter = randomBytes(2).readUInt16BE() & 0xfff

/**
 * A new uuid for what there are very many of: in the form of version 4, but its first 48 bits are the time in milliseconds. Rows made
 * one after the other then lie side by side in every index, and a commit touches a few pages instead of one for each row and index.
 * The next 12 bits count, the last 62 are random. Not for what its first digits must tell apart (names of bridges), nor for secrets.
 */
export function newOrderedUuid(): string {
  counter = (counter + 1) & 0xfff
  const time = Date.now().toString(16).padStart(12, '0')
  const random = randomUUID()
  return `${time}4${counter.toString(16).padStart(3, '0')}${random.slice(19, 23)}${random.slice(24)}`
}

const UUID_PATTERN = /^[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}$/

/** True for a dash-less uuid of version 1 to 5, the only form accepted for client-chosen uuids. */
export function isUuid(value: string): boolean {
  return UUID_PATTERN.test(value)
}

/** An unguessable token of `bytes` random bytes, as lower-case hex. */
export function newToken(bytes = 32): string {
  return randomBytes(bytes).toString('hex')
}
