import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Timing } from '#kernel'
import { Exposition } from './exposition.ts'

test('numbers of one name stand together under one head, whoever wrote them and when', () => {
  const out = new Exposition()
  out.gauge('a', 'First.', 1, { k: 'x' })
  out.counter('b_total', 'Second.', 2)
  out.gauge('a', 'First.', 3, { k: 'y' })
  assert.equal(
    out.text(),
    [
      '# HELP zstack_a First.',
      '# TYPE zstack_a gauge',
      'zstack_a{k="x"} 1',
      'zstack_a{k="y"} 3',
      '# HELP zstack_b_total Second.',
      '# TYPE zstack_b_total counter',
      'zstack_b_total 2',
      '',
    ].join('\n'),
  )
})

test('a label may hold anything', () => {
  const out = new Exposition()
  out.gauge('a', 'Line\nbreak and \\.', 1, { k: 'a"b\\c\nd' })
  const [help, , line] = out.text().split('\n')
  assert.equal(help, '# HELP zstack_a Line break and \\\\.')
  assert.equal(line, 'zstack_a{k="a\\"b\\\\c\\nd"} 1')
})

test('a histogram counts what is below each bound, in seconds; an empty one is left out', () => {
  const out = new Exposition()
  const timing = new Timing()
  out.timing('t_seconds', 'Times.', timing)
  assert.equal(out.text(), '')
  for (const ms of [0.5, 0.6, 70, 70, 31_000]) timing.add(ms, ms === 70)
  out.timing('t_seconds', 'Times.', timing, { k: 'v' })
  const lines = out.text().split('\n')
  for (const line of [
    'zstack_t_seconds_bucket{k="v",le="0.0005"} 1',
    'zstack_t_seconds_bucket{k="v",le="0.001"} 2',
    'zstack_t_seconds_bucket{k="v",le="0.05"} 2',
    'zstack_t_seconds_bucket{k="v",le="0.1"} 4',
    'zstack_t_seconds_bucket{k="v",le="30"} 4',
    'zstack_t_seconds_bucket{k="v",le="+Inf"} 5',
    'zstack_t_seconds_count{k="v"} 5',
  ])
    assert.ok(lines.includes(line), `${line} is missing in\n${lines.join('\n')}`)
  const sum = lines.find((line) => line.startsWith('zstack_t_seconds_sum'))
  assert.ok(Math.abs(Number(sum?.split(' ')[1]) - 31.1411) < 1e-9)
  assert.equal(timing.failures, 2)
})
