import { createHash } from 'node:crypto'
import { UsageError } from './failure.ts'
import type { Say } from './texts.ts'

// The server stores and compares hashes; these calls send one in place of the password.
const MANDATORY = [
  'LogInByAccount',
  'LogInByUser',
  'CreateAccount',
  'CreateUser',
  'LoginIAM2VirtualID',
  'CreateIAM2VirtualID',
  'GetTwoFactorAuthenticationSecret',
]
const IF_GIVEN = ['UpdateAccount', 'UpdateUser', 'UpdateIAM2VirtualID']

/** The parameters with passwords hashed where the API wants them so. Throws UsageError when a mandatory one is missing. */
export function hashPasswords(
  apiName: string,
  params: Readonly<Record<string, unknown>>,
  say: Say,
): Record<string, unknown> {
  const name = apiName === 'PowerOffHost' ? 'adminPassword' : 'password'
  const isMandatory = MANDATORY.includes(apiName)
  if (!isMandatory && !IF_GIVEN.includes(apiName) && apiName !== 'PowerOffHost') return { ...params }
  if (isMandatory && !isGiven(params[name])) throw new UsageError(say('missing', apiName, name))
  // The old password proves who changes the new one; it is compared in the same form.
  const hashed = [name, 'oldPassword'].filter((key) => isGiven(params[key]))
  return { ...params, ...Object.fromEntries(hashed.map((key) => [key, sha512(String(params[key]))])) }
}

function isGiven(password: unknown): boolean {
  return typeof password === 'string' && password !== ''
}

function sha512(text: string): string {
  return createHash('sha512').update(text).digest('hex')
}
