import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Database, type Migration, migrate } from '#db'
import { openTestDatabase } from './test-database.ts'

/** A directory that is gone after the test, also when it fails. */
export function tempDir(t: Pick<TestContext, 'after'>): string {
  const dir = mkdtempSync(join(tmpdir(), 'zs-temp-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export interface TempDatabase {
  readonly db: Database
  /** Its directory; `openTestDatabase` gives the same database for it. */
  readonly dir: string
}

/** A migrated database, closed and removed after the test. */
export async function tempDatabase(
  t: Pick<TestContext, 'after'>,
  migrations: readonly Migration[] = [],
): Promise<TempDatabase> {
  const dir = mkdtempSync(join(tmpdir(), 'zs-temp-'))
  const db = await openTestDatabase(dir)
  // Hooks run in order of registration: first close, then remove.
  t.after(async () => {
    await db.close()
    rmSync(dir, { recursive: true, force: true })
  })
  await migrate(db, migrations)
  return { db, dir }
}
