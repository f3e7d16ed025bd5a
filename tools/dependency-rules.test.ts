import assert from 'node:assert/strict'
import test from 'node:test'
import { findDependencyBreaches } from './dependency-rules.ts'

const row = (name: string) => `| \`${name}\` | a reason | MIT |\n`
const lockOf = (dependencies: Record<string, string>) => ({
  packages: {
    '': { dependencies },
    ...Object.fromEntries(
      Object.entries(dependencies).map(([name, version]) => [`node_modules/${name}`, { version }]),
    ),
  },
})

test('a pinned, locked, documented dependency is fine', () => {
  const dependencies = { a: '1.0.0', '@b/c': '2.1.0-rc.1' }
  assert.deepEqual(findDependencyBreaches({ dependencies }, lockOf(dependencies), row('a') + row('@b/c')), [])
})

test('each breach is told once, with what to do', () => {
  const pack = { dependencies: { a: '^1.0.0' }, devDependencies: { b: '2.0.0' } }
  const lock = lockOf({ a: '^1.0.0', b: '2.0.1', c: '3.0.0' })
  const breaches = findDependencyBreaches(pack, lock, `${row('a')}${row('gone')}| \`b\` |  | MIT |\n`)
  assert.deepEqual(
    breaches.map((breach) => breach.replace(/;.*/, '')),
    [
      "package.json: a is '^1.0.0'",
      'package-lock.json: holds 2.0.1 b, package.json says 2.0.0',
      'docs/dependencies.md: no row for b',
      'package-lock.json: still has c',
      'docs/dependencies.md: gone is not in package.json',
    ],
  )
})
