import assert from 'node:assert/strict'
import test from 'node:test'
import { readModuleFacts } from './module-facts.ts'
import { describeSize, isOverHardLimit, measureSizes } from './size-report.ts'

const linesOf = (count: number, line = 'x()') => `${Array(count).fill(line).join('\n')}\n`

function measure(tree: Record<string, string>) {
  const files = Object.entries(tree).map(([path, text]) => ({ path, text }))
  return measureSizes(files, files.map(readModuleFacts)).map((finding) => ({
    text: describeSize(finding),
    isOver: isOverHardLimit(finding),
  }))
}

test('a file over 300 lines is reported, over 500 it fails', () => {
  const found = measure({
    'a.ts': linesOf(300),
    'b.ts': linesOf(301),
    'c.ts': linesOf(501),
    'd.test.ts': linesOf(501),
  })
  assert.deepEqual(
    found.map(({ text, isOver }) => [text.split(':')[0], isOver]),
    [
      ['lines of c.ts', true],
      ['lines of d.test.ts', false],
      ['lines of b.ts', false],
    ],
  )
})

test('wiring files have a tighter limit', () => {
  assert.equal(measure({ 'plugins/vm/plugin.ts': linesOf(121) })[0]?.isOver, true)
  assert.equal(measure({ 'plugins/vm/plugin.ts': linesOf(120) }).length, 0)
})

test('functions of every form are measured; workflows may be longer', () => {
  const body = linesOf(79)
  const forms = [
    `export function wide() {\n${body}}`,
    `export const wide = () => {\n${body}}`,
    `class A { wide() {\n${body}} }`,
    `const a = { wide() {\n${body}} }`,
  ]
  for (const form of forms) {
    const [finding] = measure({ 'a.ts': form })
    assert.equal(finding?.isOver, true, form.slice(0, 30))
    assert.match(finding?.text ?? '', /function wide \(a\.ts:1\): 81/)
  }
  const workflow = measure({ 'plugins/vm/workflows/create.ts': forms[0] ?? '' })
  assert.deepEqual(
    workflow.map((finding) => finding.isOver),
    [false],
  )
})

test("a suite's callback is a container, its tests are measured", () => {
  const inner = `it('long', () => {\n${linesOf(90)}})`
  const found = measure({
    'a.test.ts': `import { it, describe } from 'node:test'; describe('all', () => {\n${inner}\n})`,
  })
  assert.equal(found.length, 1)
  assert.match(found[0]?.text ?? '', /a\.test\.ts:2/)
})

test('a function that declares tests is a container, wherever it lives', () => {
  const tests = `export function declareTests() {\n${linesOf(90, "test('a', () => {})")}}`
  assert.equal(measure({ 'a.ts': `import test from 'node:test'; ${tests}` }).length, 0)
  assert.equal(measure({ 'a.ts': tests }).length, 1)
})

test('a folder of more than 30 source files fails; tests do not count', () => {
  const tree = (count: number, end: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`a/f${index}${end}`, '']))
  assert.equal(measure(tree(31, '.ts'))[0]?.isOver, true)
  assert.equal(measure({ ...tree(30, '.ts'), ...tree(30, '.test.ts') })[0]?.isOver, false)
})
