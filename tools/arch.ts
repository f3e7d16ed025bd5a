import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import { findCycles } from './import-cycles.ts'
import { placeOf, refuseImport } from './import-rules.ts'
import type { ModuleFacts, ModuleImport } from './module-facts.ts'
import { isTestFile } from './source-tree.ts'

/** The `imports` map of package.json: `#kernel` -> `./packages/kernel/index.ts`, `#plugins/*` -> `./plugins/*`. */
export type ImportMap = Record<string, string>

/** Every breach of the import rules as `path:line  reason`. */
export function findImportViolations(modules: ModuleFacts[], importMap: ImportMap): string[] {
  const violations: string[] = []
  const graph = new Map<string, Set<string>>()
  for (const module of modules) {
    const edges = new Set<string>()
    graph.set(module.path, edges)
    for (const line of module.starExports) {
      violations.push(`${module.path}:${line}  export * hides what a module offers; name the exports`)
    }
    for (const item of module.imports) {
      const reason = judge(module.path, item, importMap)
      if (reason) violations.push(`${module.path}:${item.line}  '${item.specifier}': ${reason}`)
      const target = resolveImport(module.path, item.specifier, importMap)
      // Types are erased, so a cycle of types cannot meet a half-initialised module.
      if (target && !item.isType) edges.add(target)
    }
  }
  const cycles = findCycles(graph)
  return [...violations, ...cycles.map((cycle) => `${cycle[0]}  import cycle: ${cycle.join(' -> ')}`)]
}

function judge(path: string, item: ModuleImport, importMap: ImportMap): string | undefined {
  const target = resolveImport(path, item.specifier, importMap)
  const from = placeOf(path)
  if (!target) {
    const isImpure = from.kind === 'plugin' && from.isContract && isBuiltin(item.specifier) && !item.isType
    return isImpure ? 'a contract runs in browsers too; it must not import Node modules' : undefined
  }
  const to = placeOf(target)
  const isTest = isTestFile(path)
  if (from.unit === to.unit) return isTest ? undefined : judgeOwnUnit(path, item.specifier, target)
  if (item.specifier.startsWith('.'))
    return `a relative import must not leave ${from.unit}; use the import map`
  const isCase = /\.case\.ts$|(^|\/)cases\//.test(path)
  return refuseImport(from, to, { isType: item.isType, isTest, isCase })
}

function judgeOwnUnit(path: string, specifier: string, target: string): string | undefined {
  const { unit, kind, isContract } = placeOf(path)
  if (specifier.startsWith('#')) return `inside ${unit} use relative imports`
  if (target === `${unit}/index.ts` && unit.startsWith('packages/')) {
    return 'a package does not import its own entry; import the file that defines the name'
  }
  if (isContract && !placeOf(target).isContract) return `a ${kind}'s contract must not import its code`
  return undefined
}

/** Path of the imported file relative to the root, or undefined for a library or a Node module. */
function resolveImport(path: string, specifier: string, importMap: ImportMap): string | undefined {
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(path), specifier))
  if (!specifier.startsWith('#')) return undefined
  const exact = importMap[specifier]
  if (exact) return posix.normalize(exact)
  for (const [pattern, replacement] of Object.entries(importMap)) {
    const prefix = pattern.endsWith('*') ? pattern.slice(0, -1) : undefined
    if (prefix && specifier.startsWith(prefix)) {
      return posix.normalize(replacement.replace('*', specifier.slice(prefix.length)))
    }
  }
  return undefined
}
