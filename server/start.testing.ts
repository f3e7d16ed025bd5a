import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

const main = join(import.meta.dirname, 'main.ts')

/** Starts a management process that ends with the test. */
export function start(t: TestContext, ...flags: string[]): ChildProcess {
  const child = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  return child
}

/** A start that has to fail: gives what it wrote to stderr. */
export async function refusal(t: TestContext, ...flags: string[]): Promise<string> {
  const child = start(t, ...flags)
  const [said, out, [code]] = await Promise.all([
    text(child.stderr as never),
    text(child.stdout as never),
    once(child, 'exit'),
  ])
  assert.equal(code, 1, said)
  assert.doesNotMatch(out, /is ready/)
  return said
}

/** The one line that says what is wrong. */
export const problem = (what: RegExp) =>
  new RegExp(`^zstack: the management node could not start: ${what.source}\n$`)
