import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '#testkit'
import { createLogger } from './log.ts'
import { currentTask, type Task, withTask } from './task.ts'

const task = (id: string): Task => ({
  id,
  name: id,
  signal: new AbortController().signal,
  progress: () => {},
})

test('what a task leaves behind is no part of it any more once it has ended', async () => {
  const gate = Promise.withResolvers<void>()
  const seen: (string | undefined)[] = []
  let leftBehind: Promise<void> | undefined
  await withTask(task('a'), async () => {
    leftBehind = gate.promise.then(() => void seen.push(currentTask()?.id))
    seen.push(currentTask()?.id)
    await withTask(task('b'), async () => void seen.push(currentTask()?.id))
    seen.push(currentTask()?.id)
  })
  gate.resolve()
  await leftBehind
  assert.deepEqual(seen, ['a', 'b', 'a', undefined])
  await assert.rejects(
    withTask(task('c'), () => Promise.reject(new Error('c failed'))),
    /c failed/,
  )
  assert.equal(currentTask(), undefined)
})

test('every log line of a task carries its id, once, also through children; others carry none', async (t) => {
  const file = join(tempDir(t), 'log')
  const fd = openSync(file, 'w')
  t.after(() => closeSync(fd))
  const log = createLogger({ name: 'test', fd })
  const child = log.child({ plugin: 'x' })
  await withTask(task('a'), async () => {
    log.info({}, 'plain')
    child.warn({ n: 1 }, 'child')
    log.info({ taskId: 'b' }, 'of another')
  })
  log.info({}, 'nobody')
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { taskId?: string }).taskId),
    ['a', 'a', 'b', undefined],
  )
  for (const line of lines) assert.ok(line.split('"taskId"').length <= 2, line)
})
