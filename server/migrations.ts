import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, openMariadb, openSqlite, planMigrations, readSqlite } from '#db'
import { migrationsOf, schemaLevel } from '#plugin-host'
import type { ServerConfig } from './config.ts'
import { allPlugins } from './plugins.ts'

/**
 * What a start would change in the schema, as text: each migration and its statements. Changes nothing, and may run beside a
 * management node. Throws what a start would refuse.
 */
export async function describeMigrations({ dataDir, database }: ServerConfig): Promise<string> {
  const file = join(dataDir, 'zstack.db')
  const db: Pick<Database, 'all' | 'dialect' | 'close'> =
    database !== undefined
      ? openMariadb(database)
      : existsSync(file)
        ? readSqlite(file)
        : openSqlite(':memory:')
  try {
    const planned = await planMigrations(db, migrationsOf(allPlugins()), schemaLevel)
    if (planned.length === 0) return 'the schema is up to date\n'
    return planned.map(({ id, statements }) => `-- ${id}\n${statements.join(';\n')};\n`).join('\n')
  } finally {
    await db.close()
  }
}
