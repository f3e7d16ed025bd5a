/** What the checks need to know of one module: its imports and the length of its functions, from one parse. */
import { parseSync, Visitor } from 'oxc-parser'
import type { SourceFile } from './source-tree.ts'

export type ModuleImport = {
  specifier: string
  line: number
  /** Erased before the program runs: `import type`, or `import('x')` in a type. */
  isType: boolean
  names: string[]
}

export type FunctionSpan = { name: string; line: number; lineCount: number }

export type ModuleFacts = {
  path: string
  imports: ModuleImport[]
  functions: FunctionSpan[]
  /** Lines of `export * from`. */
  starExports: number[]
}

/** Parses one file. Throws when it does not parse: the type check says why in more words. */
export function readModuleFacts(file: SourceFile): ModuleFacts {
  const { program, module, errors } = parseSync(file.path, file.text)
  if (errors[0]) throw new Error(`${file.path} does not parse: ${errors[0].message}`)
  const lineAt = createLineIndex(file.text)
  const facts: ModuleFacts = { path: file.path, imports: [], functions: [], starExports: [] }
  const isTypeOnly = (start: number, keyword: string) =>
    new RegExp(`^${keyword}\\s+type\\s`).test(file.text.slice(start))
  for (const { start, moduleRequest, entries } of module.staticImports) {
    const names = entries.map((entry) => entry.importName.name ?? '*')
    const isType = isTypeOnly(start, 'import')
    facts.imports.push({ specifier: moduleRequest.value, line: lineAt(start), isType, names })
  }
  for (const { start, entries } of module.staticExports) {
    const source = entries[0]?.moduleRequest
    if (!source) continue
    const names = entries.map((entry) => entry.importName.name ?? '*')
    const isType = isTypeOnly(start, 'export')
    facts.imports.push({ specifier: source.value, line: lineAt(start), isType, names })
    if (entries.some((entry) => entry.importName.kind === 'AllButDefault'))
      facts.starExports.push(lineAt(start))
  }
  for (const { start, moduleRequest } of module.dynamicImports) {
    const literal = /^(['"`])([^$]*)\1$/.exec(file.text.slice(moduleRequest.start, moduleRequest.end))
    if (literal?.[2]) {
      facts.imports.push({ specifier: literal[2], line: lineAt(start), isType: false, names: ['*'] })
    }
  }
  visitFunctions(program, file, lineAt, facts)
  return facts
}

type Program = ReturnType<typeof parseSync>['program']
type Span = { start: number; end: number }

/**
 * A function that declares tests is a container of them, as a file is: its tests are measured one by one.
 * Everything else is measured with what is nested in it.
 */
function visitFunctions(program: Program, file: SourceFile, lineAt: LineIndex, facts: ModuleFacts): void {
  const hasTests = facts.imports.some((item) => item.specifier === 'node:test')
  const names = new Map<number, string>()
  const open: { isContainer: boolean }[] = []
  const enter = () => void open.push({ isContainer: false })
  const leave = (node: Span & { id?: { name: string } | null }) => {
    if (open.pop()?.isContainer) return
    const line = lineAt(node.start)
    const name = node.id?.name ?? names.get(node.start) ?? '(anonymous)'
    facts.functions.push({ name, line, lineCount: lineAt(node.end) - line + 1 })
  }
  new Visitor({
    CallExpression: (node) => {
      const call = file.text.slice(node.start, node.start + 20)
      const around = open.at(-1)
      if (hasTests && around && /^(test|it|t\.test|describe|suite)\b/.test(call)) around.isContainer = true
    },
    VariableDeclarator: (node) => {
      if (node.init && node.id.type === 'Identifier') names.set(node.init.start, node.id.name)
    },
    Property: (node) => nameValue(names, node),
    MethodDefinition: (node) => nameValue(names, node),
    FunctionDeclaration: enter,
    FunctionExpression: enter,
    ArrowFunctionExpression: enter,
    'FunctionDeclaration:exit': leave,
    'FunctionExpression:exit': leave,
    'ArrowFunctionExpression:exit': leave,
    TSImportType: (node) => {
      const { value } = node.source
      facts.imports.push({ specifier: String(value), line: lineAt(node.start), isType: true, names: [] })
    },
  }).visit(program)
}

function nameValue(names: Map<number, string>, { key, value }: { key: object; value: Span }): void {
  if ('name' in key && typeof key.name === 'string') names.set(value.start, key.name)
}

type LineIndex = (offset: number) => number

function createLineIndex(text: string): LineIndex {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length
    while (low + 1 < high) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
