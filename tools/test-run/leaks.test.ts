import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { watchForLeaks } from './leaks.ts'

test('a file of ours that appears is a leak; others, older ones and those of a living process are not', async (t) => {
  const mark = `leak-${process.pid}`
  const names = [`zstack-${mark}-a`, `other-${mark}`, `zstack-${mark}`].map((name) => `/dev/shm/${name}`)
  t.after(() => Promise.all(names.map((name) => rm(name, { force: true }))))
  const check = await watchForLeaks(tmpdir())
  for (const name of names) await writeFile(name, '')
  const leaks = (await check.findLeaks()).filter((leak) => leak.includes(mark))
  assert.deepEqual(leaks, [`${names[0]} was left`])
  const later = await (await watchForLeaks(tmpdir())).findLeaks()
  assert.ok(!later.some((leak) => leak.includes(mark)))
})

test("the lab's own check is asked when the tree has one", async () => {
  const root = join(tmpdir(), 'with-lab')
  await mkdir(join(root, 'lab'), { recursive: true })
  await writeFile(join(root, 'package.json'), '{"type":"module"}')
  const text = `export const snapshot = () => 'links'
    export const diff = (before: string, after: string) => ['bridge ' + before + after, { tap: 'x' }]`
  await writeFile(join(root, 'lab/leak-check.ts'), text)
  const leaks = await (await watchForLeaks(root)).findLeaks()
  assert.deepEqual(leaks.slice(-2), ['bridge linkslinks', '{"tap":"x"}'])
})
