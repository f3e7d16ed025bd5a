import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitReason } from './bridge.ts'
import { type ConsoleGrant, ConsoleTokens } from './tokens.ts'

const grant = (change: Partial<ConsoleGrant> = {}): ConsoleGrant => ({
  vmUuid: 'vm',
  accountUuid: 'account',
  sessionUuid: 'session',
  expiresAtMs: 1_000,
  ...change,
})

test('a console token is 32 random bytes, works once and names its VM', () => {
  const tokens = new ConsoleTokens(() => 0)
  const token = tokens.issue(grant())
  assert.match(token, /^[0-9a-f]{64}$/)
  assert.notEqual(tokens.issue(grant()), token)
  assert.deepEqual(tokens.take(token), grant())
  assert.equal(tokens.take(token), undefined)
})

test('a console token is refused from the moment it expires', () => {
  let now = 0
  const tokens = new ConsoleTokens(() => now)
  const early = tokens.issue(grant())
  const late = tokens.issue(grant())
  now = 999
  assert.notEqual(tokens.take(early), undefined)
  now = 1_000
  assert.equal(tokens.take(late), undefined)
})

test('unknown tokens, near misses and no token at all are refused', () => {
  const tokens = new ConsoleTokens(() => 0)
  const token = tokens.issue(grant())
  for (const wrong of ['', 'x', token.slice(1), `${token}0`, ` ${token}`])
    assert.equal(tokens.take(wrong), undefined)
  assert.notEqual(tokens.take(token), undefined)
})

test('an account that asks in a loop loses its own oldest tokens only; expired ones are forgotten', () => {
  let now = 0
  const tokens = new ConsoleTokens(() => now)
  const other = tokens.issue(grant({ accountUuid: 'other' }))
  const own = Array.from({ length: 65 }, () => tokens.issue(grant()))
  assert.equal(tokens.size, 65)
  assert.equal(tokens.take(own[0] ?? ''), undefined)
  assert.notEqual(tokens.take(own[1] ?? ''), undefined)
  assert.notEqual(tokens.take(other), undefined)
  now = 1_000
  tokens.issue(grant({ expiresAtMs: 2_000 }))
  assert.equal(tokens.size, 1)
})

test('a reason fits into a close frame and keeps its characters whole', () => {
  assert.equal(fitReason('short'), 'short')
  const fitted = fitReason('屏'.repeat(100))
  assert.ok(Buffer.byteLength(fitted) <= 123)
  assert.match(fitted, /^屏+…$/)
})
