import { clusterKeyMigration, clusterMigration } from '#cluster'
import type { Migration } from '#db'
import { workflowMigrations } from '#workflow'
import { jobMigration, jobOwnerMigration } from './jobs.ts'
import type { Plugin } from './plugin.ts'

/**
 * Number of the newest migration of this version, of all plugins there are. A database with a higher one is of a newer version; an
 * unknown one up to this belongs to a plugin that was taken off the list. A test tells when it has to be raised.
 */
export const schemaLevel = 42

const engineMigrations = [
  ...workflowMigrations,
  jobMigration,
  clusterMigration,
  jobOwnerMigration,
  clusterKeyMigration,
]

/** Every migration of a process with these plugins. */
export function migrationsOf(plugins: readonly Plugin[]): readonly Migration[] {
  return [...engineMigrations, ...plugins.flatMap((p) => p.migrations)]
}
