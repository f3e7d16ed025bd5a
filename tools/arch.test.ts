import assert from 'node:assert/strict'
import test from 'node:test'
import { findImportViolations } from './arch.ts'
import { readModuleFacts } from './module-facts.ts'

const importMap = {
  '#kernel': './packages/kernel/index.ts',
  '#contract': './packages/contract/index.ts',
  '#agent-rpc': './packages/agent-rpc/index.ts',
  '#bus': './packages/bus/index.ts',
  '#client': './packages/client/index.ts',
  '#testkit': './packages/testkit/index.ts',
  '#plugins/*': './plugins/*',
  '#agents/*': './agents/*',
  '#server/*': './server/*',
}

function judge(tree: Record<string, string>): string[] {
  const modules = Object.entries(tree).map(([path, text]) => readModuleFacts({ path, text }))
  return findImportViolations(modules, importMap)
}

const forbidden: [what: string, path: string, text: string, reason: RegExp][] = [
  [
    'the kernel imports the contract',
    'packages/kernel/a.ts',
    "import { a } from '#contract'",
    /kernel must not/,
  ],
  [
    'an engine imports a plugin',
    'packages/bus/a.ts',
    "import { a } from '#plugins/vm/plugin.ts'",
    /vm\/contract/,
  ],
  [
    'a plugin imports another plugin',
    'plugins/vm/a.ts',
    "import '#plugins/volume/store.ts'",
    /volume\/contract/,
  ],
  [
    'a plugin imports an agent',
    'plugins/kvm/a.ts',
    "import '#agents/kvm-host/main.ts'",
    /kvm-host\/contract/,
  ],
  ['a plugin imports the server', 'plugins/vm/a.ts', "import '#server/main.ts'", /must not import server/],
  ['a plugin imports the testkit', 'plugins/vm/a.ts', "import '#testkit'", /must not import testkit/],
  [
    'a unit test imports the server',
    'plugins/vm/a.test.ts',
    "import '#server/main.ts'",
    /must not import server/,
  ],
  ['an agent imports an engine', 'agents/kvm-host/a.ts', "import '#bus'", /must not import engine/],
  [
    'an agent imports a plugin',
    'agents/kvm-host/a.ts',
    "import '#plugins/vm/contract/a.ts'",
    /must not import plugin/,
  ],
  [
    'a plugin imports the fakes',
    'plugins/kvm/a.ts',
    "import '#agents/simulator/a.ts'",
    /must not import simulator/,
  ],
  ['the client imports an engine', 'packages/client/a.ts', "import '#bus'", /must not import engine/],
  ['the CLI imports an engine', 'cli/main.ts', "import '#bus'", /must not import engine/],
  ['a contract imports an engine value', 'plugins/vm/contract/a.ts', "import { b } from '#bus'", /must not/],
  ['a contract imports Node', 'plugins/vm/contract/a.ts', "import { join } from 'node:path'", /browsers/],
  ['a contract imports code', 'plugins/vm/contract/a.ts', "import '../store.ts'", /contract must not/],
  [
    'a relative import leaves the plugin',
    'plugins/vm/a.ts',
    "import '../volume/contract/a.ts'",
    /must not leave/,
  ],
  [
    'a relative import leaves the package',
    'packages/bus/a.ts',
    "import '../kernel/index.ts'",
    /must not leave/,
  ],
  ['a package imports its entry', 'packages/bus/a.ts', "import { b } from './index.ts'", /own entry/],
  ['a package imports itself by name', 'packages/bus/a.ts', "import { b } from '#bus'", /relative imports/],
  ['a dynamic import counts', 'plugins/vm/a.ts', "await import('#server/main.ts')", /must not import server/],
  ['a re-export counts', 'plugins/vm/a.ts', "export { a } from '#server/main.ts'", /must not import server/],
  [
    'a type import counts',
    'plugins/vm/a.ts',
    "import type { A } from '#server/main.ts'",
    /must not import server/,
  ],
  [
    'an inline type import counts',
    'cli/a.ts',
    "export type A = import('#bus').Bus",
    /must not import engine/,
  ],
  ['export * is refused', 'packages/bus/index.ts', "export * from './bus.ts'", /export \*/],
]

for (const [what, path, text, reason] of forbidden) {
  test(`caught: ${what}`, () => {
    const violations = judge({ [path]: `// first line\n${text}\n` })
    assert.equal(violations.length, 1, violations.join('\n'))
    assert.ok(violations[0]?.startsWith(`${path}:2  `), violations.join())
    assert.match(violations[0] ?? '', reason)
  })
}

const permitted: [what: string, path: string, text: string][] = [
  ['an engine uses engines', 'packages/http/a.ts', "import { a } from '#bus'\nimport { b } from '#kernel'"],
  ['a plugin uses contracts', 'plugins/vm/a.ts', "import '#plugins/volume/contract/a.ts'\nimport '#bus'"],
  ['a plugin uses an agent contract', 'plugins/kvm/a.ts', "import '#agents/kvm-host/contract/index.ts'"],
  ['the simulator plugin uses the fakes', 'plugins/simulator/a.ts', "import '#agents/simulator/a.ts'"],
  ['a test uses the conformance suite', 'agents/kvm-host/a.test.ts', "import '#agents/conformance/a.ts'"],
  ['a contract speaks of engine types', 'plugins/vm/contract/a.ts', "import type { Flow } from '#bus'"],
  ['an agent uses its own code', 'agents/kvm-host/a.ts', "import './contract/index.ts'\nimport '#agent-rpc'"],
  ['a unit test uses the testkit', 'plugins/vm/a.test.ts', "import '#testkit'"],
  [
    'a case uses the server',
    'plugins/vm/cases/a.case.ts',
    "import '#server/main.ts'\nimport '#plugins/volume/store.ts'",
  ],
  ['a test of a package uses its entry', 'packages/bus/a.test.ts', "import './index.ts'"],
  ['the server composes plugins', 'server/plugins.ts', "import { vm } from '#plugins/vm/plugin.ts'"],
  ['libraries', 'plugins/vm/a.ts', "import { join } from 'node:path'\nimport { x } from 'kysely'"],
]

for (const [what, path, text] of permitted) {
  test(`permitted: ${what}`, () => assert.deepEqual(judge({ [path]: text }), []))
}

test('a cycle of files is told as the way round', () => {
  const violations = judge({
    'packages/bus/a.ts': "import { b } from './b.ts'",
    'packages/bus/b.ts': "import { c } from './c.ts'",
    'packages/bus/c.ts': "import { a } from './a.ts'",
    'packages/bus/d.ts': "import { a } from './a.ts'",
  })
  assert.equal(violations.length, 1)
  const files = ['a', 'b', 'c'].map((name) => `packages/bus/${name}.ts`)
  for (const file of files) assert.ok(violations[0]?.includes(file), violations.join())
  assert.ok(!violations[0]?.includes('d.ts'))
})

test('a cycle through the import map is seen', () => {
  const violations = judge({
    'packages/bus/index.ts': "export { a } from './a.ts'",
    'packages/bus/a.ts': "import { h } from '#http-missing'\nimport { k } from '#kernel'",
    'packages/kernel/index.ts': "export { k } from '#bus'",
  })
  assert.ok(violations.some((violation) => violation.includes('import cycle')))
})

test('a cycle of types alone is no cycle', () => {
  const tree = {
    'packages/bus/a.ts': "import type { B } from './b.ts'",
    'packages/bus/b.ts': "import type { A } from './a.ts'",
  }
  assert.deepEqual(judge(tree), [])
})
