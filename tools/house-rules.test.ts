import assert from 'node:assert/strict'
import test from 'node:test'
import { findHouseRuleBreaches } from './house-rules.ts'
import { readModuleFacts } from './module-facts.ts'

function judge(path: string, text: string): string[] {
  const modules = path.endsWith('.ts') ? [readModuleFacts({ path, text })] : []
  return findHouseRuleBreaches([{ path, text }], modules)
}

const forbidden: [path: string, text: string, reason: RegExp][] = [
  ['docs/a.md', 'see /home/x', /machine/],
  ['a.ts', "import { exec } from 'node:child_process'", /execFile/],
  ['a.ts', "import * as all from 'node:child_process'\nall.spawn('a', { shell: true })", /no shell/],
  ['a.test.ts', "test.only('a', () => {})", /focused/],
  ['a.test.ts', "import { setTimeout as wait } from 'node:timers/promises'", /sleep/],
  ['a.test.ts', 'await new Promise((resolve) => setTimeout(resolve, 100))', /sleep/],
  ['a.ts', '// TODO later', /issue/],
  ['a.ts', '// @ts-ignore\nx()', /silenced/],
  ['a.ts', 'try { x() } catch {}', /disappears/],
  ['a.ts', 'await x().catch(() => undefined)', /disappears/],
  ['plugins/vm/utils.ts', '', /drawer/],
]

for (const [path, text, reason] of forbidden) {
  test(`caught in ${path}: ${text.split('\n').at(-1)}`, () => {
    const breaches = judge(path, text)
    assert.equal(breaches.length, 1, breaches.join('\n'))
    assert.match(breaches[0] ?? '', reason)
  })
}

const permitted: [path: string, text: string][] = [
  ['a.ts', 'const path = `${root}/home/x`'],
  ['a.ts', "import { execFile, spawn } from 'node:child_process'"],
  ['a.ts', 'await new Promise((resolve) => setTimeout(resolve, 100))'],
  ['a.ts', '// TODO(#12) drop when the mirror has it'],
  ['a.ts', 'try { x() } catch {\n  // gone already\n}'],
  ['a.ts', '// gone already\nawait x().catch(() => undefined)'],
]

for (const [path, text] of permitted) {
  test(`permitted in ${path}: ${text.split('\n')[0]}`, () => assert.deepEqual(judge(path, text), []))
}
