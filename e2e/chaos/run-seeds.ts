import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('./main.ts', import.meta.url))

/** A test for each seed of ZSTACK_CHAOS_SEEDS (`1,2,3`); one by default. */
export function declareSeeds(stage: 'single' | 'cluster', seconds: number, skip: string | false): void {
  const seeds = (process.env.ZSTACK_CHAOS_SEEDS ?? '1').split(',').map(Number)
  for (const seed of seeds)
    test(`nothing is lost, doubled or stuck: ${stage}, seed ${seed}`, { skip }, async () => {
      assert.ok(Number.isSafeInteger(seed), 'ZSTACK_CHAOS_SEEDS is a list of numbers')
      const args = [program, '--stage', stage, '--seed', String(seed), '--seconds', String(seconds)]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let report = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        report += text
      })
      const [code] = await once(child, 'exit')
      console.log(report)
      assert.equal(code, 0, report)
    })
}
