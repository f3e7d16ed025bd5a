import { randomBytes, randomUUID } from 'node:crypto'

/** A new resource uuid: 32 lower-case hex digits, version 4, no dashes (the form every client expects). */
export function newUuid(): string {
  return randomUUID().replaceAll('-', '')
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
