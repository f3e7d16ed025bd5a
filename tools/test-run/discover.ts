import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'

export type TestKind = 'unit' | 'cases' | 'e2e' | 'chaos'
export type TestFile = { path: string; kind: TestKind }

export const testKinds: readonly TestKind[] = ['unit', 'cases', 'e2e', 'chaos']

/**
 * Test files below `root` that the words select, sorted by kind, then path (relative to `root`).
 * A word is a kind or a part of a path; several words select what any of them does; none selects everything but chaos, whose outcome
 * depends on the speed of the machine: it is run for as long, and with as many seeds, as somebody has time to look at it.
 */
export async function discoverTests(root: string, words: string[]): Promise<TestFile[]> {
  const files: TestFile[] = []
  await collect(root)
  const isSelected = ({ path, kind }: TestFile) =>
    words.length === 0
      ? kind !== 'chaos'
      : words.some((word) => (isKind(word) ? word === kind : path.includes(word)))
  const rank = ({ path, kind }: TestFile) => `${testKinds.indexOf(kind)} ${path}`
  return files.filter(isSelected).sort((a, b) => (rank(a) < rank(b) ? -1 : 1))

  async function collect(folder: string): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) await collect(path)
      const kind = entry.isFile() ? kindOf(relative(root, path)) : undefined
      if (kind) files.push({ path: relative(root, path), kind })
    }
  }
}

export function kindOf(path: string): TestKind | undefined {
  if (/^e2e\/.*\.chaos\.ts$/.test(path)) return 'chaos'
  if (/^e2e\/.*\.e2e\.ts$|^lab\/.*\.test\.ts$/.test(path)) return 'e2e'
  if (/(^|\/)cases\/[^/]+\.case\.ts$/.test(path)) return 'cases'
  if (/\.test\.tsx?$/.test(path) && !/^e2e\//.test(path)) return 'unit'
  return undefined
}

function isKind(word: string): word is TestKind {
  return (testKinds as readonly string[]).includes(word)
}
