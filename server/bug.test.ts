import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const module = JSON.stringify(new URL('./bug.ts', import.meta.url))
const kernel = JSON.stringify(new URL('../packages/kernel/index.ts', import.meta.url))

/** A process that is ended by what `statement` does. */
function endedBy(statement: string) {
  const program = `
    import { createLogger } from ${kernel}
    import { endOnBug } from ${module}
    endOnBug(createLogger({ name: 'management', level: 'info', fd: 1 }))
    setInterval(() => {}, 1000)
    ${statement}`
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, line: JSON.parse(stdout) as Record<string, unknown> }
}

for (const [statement, origin] of [
  ["void Promise.reject(new Error('nobody waits'))", 'unhandledRejection'],
  ["setTimeout(() => { throw new Error('nobody waits') }, 1)", 'uncaughtException'],
] as const)
  test(`an ${origin} ends the process with a code of its own, and is in the log with its stack`, () => {
    const { status, line } = endedBy(statement)
    assert.deepEqual([status, line.origin], [70, origin])
    assert.match(String(line.stack), /^Error: nobody waits\n +at /)
  })
