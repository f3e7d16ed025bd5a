import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from './connection.ts'
import { ApiFailure } from './failure.ts'
import { showProgress } from './progress.ts'
import { createSay } from './texts.ts'

const say = createSay({})
const message = 'x.APIGetTaskProgressMsg'
const api = { name: 'GetTaskProgress', message, kind: 'sync' as const, needSession: true, summary: '' }
const contract = { version: '1', apis: [{ ...api, example: {}, params: [], result: [] }], inventories: [] }

function arrange(send: Connection['send'], isWatched = true) {
  const shown: string[] = []
  const terminal = { out: () => {}, err: (text: string) => void shown.push(text), isWatched, columns: 80 }
  const connection: Connection = { address: 'x', get: () => Promise.reject(new Error('unused')), send }
  return { shown, progress: showProgress({ connection, contract, terminal, say }, 's1') }
}

test('a long job tells what it does, on one line that is taken away', async () => {
  const sent: unknown[] = []
  const { shown, progress } = arrange(async (_name, request) => {
    sent.push(request)
    return {
      inventories: [
        { type: 'Task', content: 'copy' },
        { type: 'Progress', content: '42' },
      ],
    }
  })
  await progress.onWait?.('job1', 500)
  assert.deepEqual([shown, sent], [[], []])
  await progress.onWait?.('job1', 2_400)
  assert.deepEqual(sent, [{ message, content: { apiId: 'job1', session: { uuid: 's1' } } }])
  progress.clear()
  progress.clear()
  assert.deepEqual(shown, ['\r\u001b[Krunning 2 s  42%', '\r\u001b[K'])
})

test('progress that cannot be had does not disturb; nobody watching gets none', async () => {
  const { shown, progress } = arrange(() => Promise.reject(new ApiFailure('GetTaskProgress', { code: 'X' })))
  await progress.onWait?.('job1', 3_000)
  assert.deepEqual(shown, ['\r\u001b[Krunning 3 s  '])
  assert.equal(arrange(async () => ({}), false).progress.onWait, undefined)
})
