import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CloudError, toErrorBody } from '#kernel'
import { defineApi } from './api.ts'
import {
  anything,
  bool,
  choice,
  type Field,
  int,
  list,
  long,
  map,
  optional,
  ref,
  type Shape,
  struct,
  text,
  timestamp,
  unsupported,
  withDefault,
} from './fields.ts'
import { parse } from './parse.ts'

const leaf: fc.Arbitrary<Field> = fc.constantFrom<Field>(
  text('t', { max: 5 }),
  text('t', { notEmpty: true, noTrim: true }),
  text('t', { pattern: /^[a-z]+$/g }),
  int('i', [-3, 3]),
  long('l'),
  bool('b'),
  timestamp('t'),
  choice('c', ['A', 'B']),
  ref('ZoneVO', 'r'),
  anything('a'),
  withDefault(int('i'), 7),
)
const field = fc.letrec<{ field: Field }>((tie) => ({
  field: fc.oneof(
    { maxDepth: 3 },
    leaf,
    leaf.map((f) => optional(f)),
    tie('field').map((f) => list('l', f)),
    tie('field').map((f) => map('m', f)),
    fc.dictionary(fc.string(), tie('field'), { maxKeys: 3 }).map((shape) => struct('S', 's', shape)),
  ),
})).field
const shape: fc.Arbitrary<Shape> = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'constructor'), field, {
  maxKeys: 4,
})
const raw = fc.oneof(
  fc.anything(),
  fc.dictionary(fc.constantFrom('a', 'b', 'c', 'x'), fc.oneof(fc.jsonValue(), fc.string(), fc.integer())),
)

test('whatever is given, parse returns a value or throws SYS.1007', () => {
  fc.assert(
    fc.property(shape, raw, (fields, given) => {
      try {
        parse(fields, given as never, 'Owner')
      } catch (error) {
        assert.ok(error instanceof CloudError, String(error))
        assert.equal(error.code, 'SYS.1007')
        assert.match(error.details, /Owner/)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('what parse accepts, it accepts again unchanged: only known members, trimmed, coerced', () => {
  fc.assert(
    fc.property(shape, raw, (fields, given) => {
      let once: Record<string, unknown>
      try {
        once = parse(fields, given as never, 'Owner')
      } catch {
        return // refused, which the property above looks at
      }
      for (const name of Object.keys(once)) assert.ok(Object.hasOwn(fields, name))
      assert.deepEqual(parse(fields, once, 'Owner'), once)
    }),
    { numRuns: 1_000 },
  )
})

test('strings of the command line become numbers and booleans; others are refused with the field and the value', () => {
  const fields = { n: long('n'), b: bool('b'), s: text('s') }
  assert.deepEqual(parse(fields, { n: ' 42 ', b: 'true', s: 12, extra: 1 }, 'X'), { n: 42, b: true, s: '12' })
  assert.deepEqual(Object.is(parse({ n: int('n') }, { n: '-0' }, 'X').n, 0), true)
  const refuse = (given: object, message: RegExp) =>
    assert.throws(() => parse(fields, { n: 1, b: true, s: '', ...given }, 'X'), message)
  refuse({ n: 1.5 }, /field\[n\] of X must be a whole number, got 1\.5/)
  refuse({ n: '9007199254740993' }, /whole number/)
  refuse({ n: '1e3' }, /"1e3"/)
  refuse({ b: 'yes' }, /field\[b\] of X must be true or false, got "yes"/)
  refuse({ s: {} }, /must be a string/)
  refuse({ s: null }, /field\[s\] of X is mandatory/)
})

test('members of the prototype are not taken for given ones', () => {
  assert.deepEqual(
    parse({ constructor: optional(anything('a')), toString: optional(text('t')) }, {}, 'X'),
    {},
  )
})

test('nested fields are named by their path', () => {
  const fields = {
    nics: list('n', struct('Nic', 'n', { ips: list('i', int('i')), tags: map('t', text('t', { max: 2 })) })),
  }
  const path = (given: unknown) => {
    try {
      parse(fields, { nics: given }, 'X')
    } catch (error) {
      return (error as CloudError).opaque?.field
    }
    return undefined
  }
  assert.equal(path([{ ips: [1, 'x'], tags: {} }]), 'nics[0].ips[1]')
  assert.equal(path([{ ips: [], tags: { a: 'long' } }]), 'nics[0].tags.a')
  assert.equal(path([{ ips: [] }]), 'nics[0].tags')
  assert.equal(path([null]), 'nics[0]')
  assert.equal(path([{ ips: [null], tags: {} }]), 'nics[0].ips[0]')
})

test('a default is a fresh value each time', () => {
  const fields = { l: withDefault(list('l', text('t')), ['a']) }
  parse(fields, {}, 'X').l.push('b')
  assert.deepEqual(parse(fields, {}, 'X'), { l: ['a'] })
})

test('a pattern with the flag g matches every time', () => {
  const fields = { s: text('s', { pattern: /^a+$/g }) }
  for (let i = 0; i < 3; i += 1) assert.deepEqual(parse(fields, { s: 'aaa' }, 'X'), { s: 'aaa' })
})

test('defineApi fills in what the original does', () => {
  const base = {
    message: 'org.zstack.APIStartThingMsg',
    path: '/things/{uuid}/actions',
    summary: 's',
    input: {},
  }
  const action = defineApi({ ...base, name: 'StartThing', method: 'PUT' })
  assert.deepEqual(
    [action.kind, action.reply, action.parameterName, action.isAction, action.needSession],
    ['job', 'org.zstack.APIStartThingEvent', 'startThing', true, true],
  )
  const create = defineApi({ ...base, name: 'CreateThing' })
  assert.deepEqual([create.method, create.parameterName, create.isAction], ['POST', 'params', false])
  const get = defineApi({ ...base, name: 'GetThing', method: 'GET', kind: 'sync' })
  assert.deepEqual([get.reply, get.parameterName], ['org.zstack.APIStartThingReply', ''])
})

test('a parameter nothing stands behind yet is refused when it is meant, and passes when it is blank', () => {
  const shape = { later: unsupported(text('Later.')), many: unsupported(list('Later.', text('Later.'))) }
  assert.deepEqual(parse(shape, {}, 'Api'), {})
  assert.deepEqual(parse(shape, { later: '', many: [] }, 'Api'), { later: '', many: [] })
  assert.throws(
    () => parse(shape, { later: 'now' }, 'Api'),
    /field\[later\] of Api is not supported by this version yet/,
  )
  assert.throws(() => parse(shape, { many: ['one'] }, 'Api'), /field\[many\]/)
})

test('what an error quotes of the input is short, however long the input is', () => {
  const long = 'x'.repeat(1_000_000)
  const shape = {
    word: optional(choice('Word.', ['a', 'b'])),
    counts: optional(map('Counts.', int('Count.'))),
  }
  for (const input of [{ word: long }, { counts: { [long]: 'no number' } }, { counts: { a: long } }])
    assert.throws(
      () => parse(shape, input, 'Test'),
      (error) => JSON.stringify(toErrorBody(error)).length < 2_000,
    )
})
