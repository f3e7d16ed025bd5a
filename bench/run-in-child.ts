import { fork } from 'node:child_process'
import { mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { Creation, CreationResult } from './vm-creation.ts'

/** The directory asked for, or one of this repository; there when this returns. */
export function benchDirectory(asked: string | undefined): string {
  const dir = asked ?? join(import.meta.dirname, '..', '.zstack', 'bench')
  mkdirSync(dir, { recursive: true })
  return realpathSync(dir)
}

/** Runs one measurement in a process of its own, so that its memory is its own and nothing is warm. */
export async function runInChild(
  dir: string,
  creation: Creation,
  database: 'sqlite' | 'mariadb' = 'sqlite',
): Promise<CreationResult[]> {
  const results: CreationResult[] = []
  const child = fork(join(import.meta.dirname, 'vm-creation.ts'), [JSON.stringify(creation)], {
    env: { ...process.env, TMPDIR: dir, ZSTACK_TEST_DB: `${database}-durable` },
    // Results come as messages: what the child prints must not get into the table.
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  child.on('message', (result: CreationResult) => {
    results.push(result)
    if (creation.marks.length > 1)
      process.stderr.write(`${result.vms} VMs: ${result.perSecond.toFixed(0)}/s\n`)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`the measuring process ended with ${code}; what it said is above`)
  return results
}
