/** On which databases a test file is run. */
import { existsSync } from 'node:fs'
import type { TestFile, TestKind } from './discover.ts'

/** The durable ones wait for the disk at each commit. */
export type TestDatabase = 'sqlite' | 'sqlite-durable' | 'mariadb' | 'mariadb-durable'
/** A test file, and the database its tests get if they ask for one; `usesDatabase` when it is known that they do. */
export type FileOn = TestFile & { database: TestDatabase; usesDatabase: boolean }

const both: readonly TestDatabase[] = ['sqlite', 'mariadb']
const known: readonly string[] = [...both, 'sqlite-durable', 'mariadb-durable'] satisfies TestDatabase[]
const kindsOnBoth: readonly TestKind[] = ['unit', 'cases']

/** Which databases a run is for: both, or the one that was asked for. Undefined when there is no such one. */
export function databasesOf(name: string | undefined): readonly TestDatabase[] | undefined {
  if (name === undefined) return both
  return known.includes(name) ? [name as TestDatabase] : undefined
}

/** What is about one database says so by its name, `mariadb-failures.case.ts`, and runs on that one in every run. */
export function ownDatabaseOf(path: string): TestDatabase | undefined {
  return /\/(sqlite|mariadb)[^/]*\.(test|case)\.ts$/.exec(path)?.[1] as TestDatabase | undefined
}

export function firstRunOf(file: TestFile, databases: readonly TestDatabase[]): FileOn {
  return { ...file, database: ownDatabaseOf(file.path) ?? databases[0] ?? 'sqlite', usesDatabase: false }
}

/** Where a file runs next that turned out to use the database of tests; a file that does not is run once. */
export function furtherRunsOf(
  { path, kind, database, usesDatabase }: FileOn,
  databases: readonly TestDatabase[],
): FileOn[] {
  if (!usesDatabase || ownDatabaseOf(path) !== undefined || !kindsOnBoth.includes(kind)) return []
  const others = databases.slice(databases.indexOf(database) + 1)
  return others.map((next) => ({ path, kind, database: next, usesDatabase }))
}

export const isSqlite = (database: TestDatabase): boolean => database.startsWith('sqlite')

/** Why nothing can be run on a database here, or undefined. */
export function missingFor(database: TestDatabase): string | undefined {
  return isSqlite(database) || existsSync('/usr/bin/mariadb-install-db')
    ? undefined
    : 'on MariaDB: needs the package mariadb-server'
}
