import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tempDatabase } from '#testkit'
import { fileWorkflow, recoverAll } from './file-workflow.testing.ts'
import { workflowMigrations } from './journal.ts'

const child = fileURLToPath(new URL('./file-workflow.testing.ts', import.meta.url))

/** Runs the workflow in a process of its own, which kills itself with SIGKILL at the moment; then recovers here. */
async function killAndRecover(t: TestContext, args: readonly string[]) {
  const { db, dir: data } = await tempDatabase(t, workflowMigrations)
  const dir = join(data, 'files')
  mkdirSync(dir)
  const [kind = ''] = args
  const signal = await new Promise((resolve) => {
    execFile(process.execPath, [child, data, dir, ...args], (error) => resolve(error?.signal))
  })
  assert.equal(signal, 'SIGKILL', 'the process did not come to the moment')
  const { engine, files } = fileWorkflow(db, dir, kind)
  const recovered = await recoverAll(engine)
  const rows = await db.all(
    'SELECT uuid FROM WorkflowVO UNION ALL SELECT workflowUuid FROM WorkflowStepVO',
    [],
  )
  assert.deepEqual(rows, [])
  return { outcomes: recovered.map((r) => r.outcome), files: files() }
}

const names = ['first', 'second', 'third']
const all = ['first.txt', 'second.txt', 'third.txt']

for (const step of names)
  for (const phase of ['journalled', 'ran']) {
    test(`killed when ${step} was ${phase}: rolled back, nothing is left`, async (t) => {
      const result = await killAndRecover(t, ['rollback', step, phase])
      assert.deepEqual(result, { outcomes: ['rolled back'], files: [] })
    })
    test(`killed when ${step} was ${phase}: resumed, everything is there`, async (t) => {
      const result = await killAndRecover(t, ['resume', step, phase])
      assert.deepEqual(result, { outcomes: ['finished'], files: all })
    })
  }

for (const step of names)
  test(`killed in a rollback when ${step} was undone: the rollback goes on, also of a workflow that resumes`, async (t) => {
    for (const kind of ['rollback', 'resume']) {
      const result = await killAndRecover(t, [kind, step, 'undone', 'fails'])
      assert.deepEqual(result, { outcomes: ['rolled back'], files: [] })
    }
  })
