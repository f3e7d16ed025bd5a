import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export type SourceFile = {
  /** Relative to the root, with forward slashes. */
  path: string
  text: string
}

export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url))

const skippedFolders = new Set(['node_modules', 'dist'])

/** Reads every file below `root` whose name matches; hidden, installed and built folders stay out. Sorted by path. */
export async function readSourceTree(root: string, matches: RegExp): Promise<SourceFile[]> {
  const paths: string[] = []
  await collect(root)
  return Promise.all(
    paths.sort().map(async (path) => ({
      path: relative(root, path).replaceAll('\\', '/'),
      text: await readFile(path, 'utf8'),
    })),
  )

  async function collect(folder: string): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.') && entry.name !== '.ci') continue
      const path = join(folder, entry.name)
      if (entry.isDirectory() && !skippedFolders.has(entry.name)) await collect(path)
      if (entry.isFile() && matches.test(entry.name)) paths.push(path)
    }
  }
}

export const typescriptFiles = /\.tsx?$/

/** Test code: unit tests, cases, end-to-end tests, and what only they use. */
export function isTestFile(path: string): boolean {
  return /\.(test|case|e2e)\.tsx?$/.test(path) || /(^|\/)(cases|e2e)\//.test(path)
}

export function countLines(text: string): number {
  return text === '' ? 0 : text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}
