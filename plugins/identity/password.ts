import { argon2, createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(argon2)

/** What deriving a hash takes. */
export interface PasswordCost {
  /** In KiB. */
  readonly memory: number
  readonly passes: number
}

const usualCost: PasswordCost = { memory: 19_456, passes: 2 }

/**
 * Clients send the SHA-512 of the password as lower-case hex. What is stored is an argon2id hash of that, so that a stolen
 * database is not a list of logins: `argon2id$<salt hex>$<hash hex>`. One of another cost says so before its salt, `64,1$`.
 */
export async function hashPassword(sent: string, cost: PasswordCost = usualCost): Promise<string> {
  const salt = randomBytes(16)
  const price = cost === usualCost ? '' : `${cost.memory},${cost.passes}$`
  return `argon2id$${price}${salt.toString('hex')}$${(await tag(sent, salt, cost)).toString('hex')}`
}

export async function verifyPassword(stored: string, sent: string): Promise<boolean> {
  const [hash = '', salt = '', price] = stored.split('$').slice(1).reverse()
  const expected = Buffer.from(hash, 'hex')
  const actual = await tag(sent, Buffer.from(salt, 'hex'), costOf(price))
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}

/** What a client sends for a password. */
export function sentForm(password: string): string {
  return createHash('sha512').update(password).digest('hex')
}

function costOf(price: string | undefined): PasswordCost {
  if (price === undefined) return usualCost
  const [memory = 0, passes = 0] = price.split(',').map(Number)
  return { memory, passes }
}

function tag(message: string, nonce: Buffer, cost: PasswordCost): Promise<Buffer> {
  return derive('argon2id', { message, nonce, parallelism: 1, tagLength: 32, ...cost }) as Promise<Buffer>
}
