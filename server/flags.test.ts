import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFlags } from './flags.ts'

const read = (...argv: string[]) => {
  const problems: string[] = []
  return { values: readFlags(argv, { flags: ['api', 'data-dir'], switches: ['dry'] }, problems), problems }
}

test('values follow their option or an equals sign', () => {
  assert.deepEqual(read('--api', '8080', '--data-dir=/x=y'), {
    values: { api: '8080', 'data-dir': '/x=y' },
    problems: [],
  })
  assert.deepEqual(read('--dry', '--api', '1').values, { dry: 'true', api: '1' })
  assert.deepEqual(read(), { values: {}, problems: [] })
})

test('everything wrong is told, one line each', () => {
  const wrong = ['word', '--frob', 'x', '--api', '--data-dir', '/d', '-v', '--api=', '--data-dir', '/e']
  assert.deepEqual(read(...wrong), {
    values: { 'data-dir': '/d' },
    problems: [
      "'word' is not expected here; a value follows its option: --name VALUE",
      'there is no option --frob',
      '--api needs a value',
      'there is no option -v',
      '--api needs a value',
      '--data-dir is given twice',
    ],
  })
  assert.deepEqual(read('--api', '1', '--api', '2').problems, ['--api is given twice'])
  assert.deepEqual(read('--data-dir').problems, ['--data-dir needs a value'])
})
