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
  const password = params[name]
  if (typeof password === 'string' && password !== '') return { ...params, [name]: sha512(password) }
  if (isMandatory) throw new UsageError(say('missing', apiName, name))
  return { ...params }
}

function sha512(text: string): string {
  return createHash('sha512').update(text).digest('hex')
}
