import { argon2, createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(argon2)
const cost = { parallelism: 1, tagLength: 32, memory: 19_456, passes: 2 } as const

/**
 * Clients send the SHA-512 of the password as lower-case hex. What is stored is an argon2id hash of that, so that a stolen
 * database is not a list of logins: `argon2id$<salt hex>$<hash hex>`.
 */
export async function hashPassword(sent: string): Promise<string> {
  const salt = randomBytes(16)
  return `argon2id$${salt.toString('hex')}$${(await tag(sent, salt)).toString('hex')}`
}

export async function verifyPassword(stored: string, sent: string): Promise<boolean> {
  const [, salt = '', hash = ''] = stored.split('$')
  const expected = Buffer.from(hash, 'hex')
  const actual = await tag(sent, Buffer.from(salt, 'hex'))
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}

/** What a client sends for a password. */
export function sentForm(password: string): string {
  return createHash('sha512').update(password).digest('hex')
}

function tag(message: string, nonce: Buffer): Promise<Buffer> {
  return derive('argon2id', { message, nonce, ...cost }) as Promise<Buffer>
}
