import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  CloudError,
  defineError,
  describeError,
  type ErrorBody,
  fromErrorBody,
  toErrorBody,
} from './errors.ts'

const body: fc.Arbitrary<ErrorBody> = fc.letrec<{ body: ErrorBody }>((tie) => ({
  body: fc.record(
    {
      code: fc.string(),
      description: fc.string(),
      details: fc.string(),
      cause: fc.option(tie('body'), { nil: undefined, maxDepth: 6 }),
      opaque: fc.dictionary(fc.string(), fc.jsonValue()),
      retryAfterSeconds: fc.nat(),
    },
    { requiredKeys: ['code', 'description', 'details'] },
  ) as fc.Arbitrary<ErrorBody>,
})).body

test('an error survives the wire: body to error to body is the same, with every cause', () => {
  fc.assert(
    fc.property(body, (sent) => {
      const wire = JSON.parse(JSON.stringify(sent))
      assert.deepEqual(JSON.parse(JSON.stringify(toErrorBody(fromErrorBody(wire)))), wire)
    }),
  )
})

test('anything thrown has a wire form without a stack, and its causes are levels of their own', () => {
  fc.assert(
    fc.property(fc.anything(), (thrown) => {
      assert.equal(toErrorBody(new Error('x', { cause: thrown })).code, 'SYS.1000')
      assert.equal(typeof describeError(thrown), 'string')
    }),
  )
  const bug = new TypeError('x is not a function', { cause: new CloudError(defineError('A.1', 'a'), 'deep') })
  const shown = toErrorBody(bug)
  assert.deepEqual(shown.cause, { code: 'A.1', description: 'a', details: 'deep' })
  assert.doesNotMatch(JSON.stringify(shown), /errors\.test/)
})

test('causes that form a circle end', () => {
  const error = new Error('round')
  error.cause = error
  assert.ok(describeError(error).startsWith('round: round'))
  assert.equal(toErrorBody(error).cause?.details, 'round')
})

test('describeError tells every level, and what is no error', () => {
  const cause = new Error('disk full')
  assert.equal(
    describeError(new CloudError(defineError('A.1', 'a'), 'cannot write', { cause })),
    'cannot write: disk full',
  )
  assert.equal(describeError('word'), 'word')
  assert.equal(describeError(undefined), 'undefined')
})
