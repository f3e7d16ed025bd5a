import { posix } from 'node:path'
import type { ModuleFacts } from './module-facts.ts'
import { countLines, isTestFile, type SourceFile } from './source-tree.ts'

export type SizeFinding = { what: string; size: number; soft: number; hard: number }

const fileLimits = { soft: 300, hard: 500 }
const testFileLimits = { soft: 500, hard: 800 }
const functionLimits = { soft: 40, hard: 80 }
const workflowLimits = { soft: 60, hard: 100 }
const folderLimits = { soft: 25, hard: 30 }

/** Composition files hold wiring and nothing else, so their limit is tighter. */
const wiringLimits: [RegExp, number][] = [
  [/^plugins\/[^/]+\/plugin\.ts$/, 120],
  [/^server\/main\.ts$/, 150],
]

/** Every file, function and folder over a soft limit, worst first (relative to its hard limit). */
export function measureSizes(files: SourceFile[], modules: ModuleFacts[]): SizeFinding[] {
  const findings = [
    ...files.map(measureFile),
    ...modules.flatMap(measureFunctions),
    ...measureFolders(files.map((file) => file.path)),
  ]
  return findings
    .filter((finding) => finding.size > finding.soft)
    .sort((a, b) => b.size / b.hard - a.size / a.hard)
}

export function isOverHardLimit(finding: SizeFinding): boolean {
  return finding.size > finding.hard
}

export function describeSize({ what, size, soft, hard }: SizeFinding): string {
  return `${what}: ${size} (soft ${soft}, hard ${hard})`
}

function measureFile({ path, text }: SourceFile): SizeFinding {
  const limits = isTestFile(path) ? testFileLimits : fileLimits
  const hard = wiringLimits.find(([pattern]) => pattern.test(path))?.[1] ?? limits.hard
  return { what: `lines of ${path}`, size: countLines(text), soft: Math.min(limits.soft, hard), hard }
}

function measureFunctions({ path, functions }: ModuleFacts): SizeFinding[] {
  const isWorkflow = /\/workflows\/[^/]+\.ts$/.test(path) && !isTestFile(path)
  const limits = isWorkflow ? workflowLimits : functionLimits
  return functions.map(({ name, line, lineCount }) => ({
    what: `lines of function ${name} (${path}:${line})`,
    size: lineCount,
    ...limits,
  }))
}

function measureFolders(paths: string[]): SizeFinding[] {
  const counts = new Map<string, number>()
  for (const path of paths) {
    if (isTestFile(path)) continue
    const folder = posix.dirname(path)
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  return [...counts].map(([folder, size]) => ({ what: `files in ${folder}/`, size, ...folderLimits }))
}
