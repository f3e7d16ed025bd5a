import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Database, Session, SqlValue } from './database.ts'
import { GroupCommit } from './group-commit.ts'
import { PlannerStatistics } from './planner-statistics.ts'
import { ReadSnapshot } from './read-snapshot.ts'
import { translate } from './sqlite-errors.ts'
import { storageError } from './storage-errors.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

export interface SqliteOptions {
  /** False: nothing waits for the disk, and a power cut may take what was told as done. For tests. */
  readonly isDurable?: boolean
}

/**
 * SQLite inside the process, in WAL mode; a write is told as done when it is flushed to the disk. One connection writes, another
 * reads, so that a reader never sees what is not committed and flushed. Throws SYS.1016 naming the file when it cannot be opened
 * for writing.
 */
export function openSqlite(file: string, { isDurable = true }: SqliteOptions = {}): Database {
  const { reader, writer } = openBoth(file, isDurable)
  const snapshot = new ReadSnapshot(reader)
  let statements = 0
  const read = prepared(reader, () => {
    statements += 1
    snapshot.open()
  })
  const written = prepared(writer, () => {
    statements += 1
  })
  const rows = remembered(snapshot, read.rows)
  const log = new WriteAheadLog(file, writer)
  const group = new GroupCommit(writer, written, {
    hold: () => snapshot.hold(),
    flush: () => (isDurable ? log.flush() : Promise.resolve()),
    release: () => {
      snapshot.release()
      log.shorten()
      statistics.grown(group.line.stats.ended)
    },
  })
  let closing: Promise<void> | undefined
  const statistics = new PlannerStatistics(writer)
  const close = async () => {
    statistics.stop()
    await group.line.close()
    snapshot.end()
    await log.close()
    // Somebody may have read meanwhile.
    snapshot.end()
    reader.close()
    writer.close()
  }
  return {
    dialect: 'sqlite',
    stats: {
      get statements() {
        return statements
      },
      writes: group.line.stats,
    },
    all: read.all,
    rows,
    run: () => Promise.reject(new Error('a read session cannot change anything: use write()')),
    write: (unit) => group.line.write(unit),
    guardWrites: (guard) => group.guardWrites(guard),
    execute: async (sql) => {
      snapshot.end()
      writer.exec(sql)
    },
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

/** Reads a database and changes nothing, not even its log; while another process uses it, too. Close it after use. */
export function readSqlite(file: string): Pick<Database, 'all' | 'dialect' | 'close'> {
  const connection = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
  return { dialect: 'sqlite', all: prepared(connection).all, close: async () => connection.close() }
}

function openBoth(file: string, isDurable: boolean): { reader: DatabaseSync; writer: DatabaseSync } {
  const opened: DatabaseSync[] = []
  try {
    const writer = connect(file, opened)
    writer.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=${isDurable ? 'NORMAL' : 'OFF'}`)
    const reader = connect(file, opened)
    reader.exec('PRAGMA query_only=ON')
    return { reader, writer }
  } catch (error) {
    for (const connection of opened) connection.close()
    throw storageError(`the database ${file} cannot be opened for writing`, error)
  }
}

function connect(file: string, opened: DatabaseSync[]): DatabaseSync {
  const connection = new DatabaseSync(file, { enableForeignKeyConstraints: true, timeout: 5_000 })
  opened.push(connection)
  connection.exec('PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=1073741824')
  return connection
}

// More is forgotten: it is what many calls ask for at the same time that is worth keeping.
const MAX_REMEMBERED = 5_000
// Long lists of keys are rarely asked for twice.
const MAX_REMEMBERED_PARAMS = 16

/**
 * Answers the same question within one snapshot from memory: many calls at once read the same networks, images and offerings. Nobody
 * changes what `rows` gives.
 */
function remembered(snapshot: ReadSnapshot, rows: Session['rows']): Session['rows'] {
  // By statement, then by what it was asked with: statements are long, and looked up by what they are already known as.
  let known = new Map<string, Map<string, Promise<SqlValue[][]>>>()
  let size = 0
  snapshot.onEnd(() => {
    if (size > 0) known = new Map()
    size = 0
  })
  return (sql, params) => {
    if (params.length > MAX_REMEMBERED_PARAMS) return rows(sql, params)
    let key = ''
    for (const param of params) key += `${typeof param} ${param}\0`
    const answers = known.get(sql) ?? new Map<string, Promise<SqlValue[][]>>()
    const earlier = answers.get(key)
    if (earlier !== undefined) return earlier
    const answer = rows(sql, params)
    if (size >= MAX_REMEMBERED) return answer
    size += 1
    known.set(sql, answers.set(key, answer))
    return answer
  }
}

// Conditions come in endless shapes; forget all rather than grow without end.
const MAX_STATEMENTS = 2_000

/** A session on one connection. `before` goes ahead of each statement. */
function prepared(connection: DatabaseSync, before: () => void = () => {}): Session {
  const asObjects = statementCache(connection, false)
  const asArrays = statementCache(connection, true)
  const translated = async <T>(work: () => T): Promise<T> => {
    try {
      before()
      return work()
    } catch (error) {
      throw translate(error)
    }
  }
  return {
    all: (sql, params) => translated(() => asObjects(sql).all(...params) as Record<string, SqlValue>[]),
    rows: (sql, params) => translated(() => asArrays(sql).all(...params) as unknown as SqlValue[][]),
    run: (sql, params) => translated(() => Number(asObjects(sql).run(...params).changes)),
  }
}

function statementCache(connection: DatabaseSync, returnArrays: boolean): (sql: string) => StatementSync {
  const statements = new Map<string, StatementSync>()
  return (sql) => {
    let statement = statements.get(sql)
    if (statement === undefined) {
      statement = connection.prepare(sql)
      statement.setReturnArrays(returnArrays)
      if (statements.size >= MAX_STATEMENTS) statements.clear()
      statements.set(sql, statement)
    }
    return statement
  }
}
