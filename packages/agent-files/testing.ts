import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A directory of the test's own, removed with all it holds when the test ends. */
export async function testDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'zs-files-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}
