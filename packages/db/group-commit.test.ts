import assert from 'node:assert/strict'
import type { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { Session, Tx } from './database.ts'
import { GroupCommit } from './group-commit.ts'

/** A connection that fails where it is told to, as SQLite does on a broken disk. */
function brokenConnection(
  fails: (sql: string) => boolean,
  endsTransaction: (sql: string) => boolean = () => false,
) {
  const log: string[] = []
  const state = { isTransaction: false }
  const exec = (sql: string) => {
    log.push(sql)
    if (endsTransaction(sql)) state.isTransaction = false
    if (fails(sql)) throw new Error(`${sql} failed`)
    if (sql.startsWith('BEGIN')) state.isTransaction = true
    if (sql === 'COMMIT' || sql === 'ROLLBACK') state.isTransaction = false
  }
  const prepare = (sql: string) => ({ run: () => exec(sql) })
  const connection = Object.defineProperty({ exec, prepare }, 'isTransaction', {
    get: () => state.isTransaction,
  })
  const commits = {
    hold: () => log.push('hold'),
    flush: async () => exec('FLUSH'),
    release: () => log.push('release'),
  }
  const session: Session = {
    all: async () => [],
    rows: async () => [],
    run: async (sql) => {
      exec(sql)
      return 1
    },
  }
  const { line } = new GroupCommit(connection as unknown as DatabaseSync, session, commits)
  return { line, log }
}

const changeAndFail = async (tx: Tx) => {
  await tx.run('INSERT x', [])
  throw new Error('mine')
}

test('a unit that fails before it has changed anything costs the others nothing', async () => {
  const { line, log } = brokenConnection(() => false)
  const results = await Promise.allSettled([
    line.write((tx) => tx.run('INSERT a', [])),
    line.write(() => Promise.reject(new Error('mine'))),
    line.write((tx) => tx.run('INSERT b', [])),
  ])
  assert.deepEqual(
    results.map((r) => r.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(log.slice(0, 5), ['BEGIN IMMEDIATE', 'INSERT a', 'INSERT b', 'hold', 'COMMIT'])
})

test('when a unit fails that has changed something, all run again, each in a savepoint', async () => {
  const { line, log } = brokenConnection(() => false)
  const results = await Promise.allSettled([
    line.write((tx) => tx.run('INSERT a', [])),
    line.write(changeAndFail),
    line.write((tx) => tx.run('INSERT b', [])),
  ])
  assert.deepEqual(
    results.map((r) => r.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(log.slice(0, 4), ['BEGIN IMMEDIATE', 'INSERT a', 'INSERT x', 'ROLLBACK'])
  const unit = (...inside: string[]) => ['SAVEPOINT unit', ...inside]
  assert.deepEqual(log.slice(4, -4), [
    'BEGIN IMMEDIATE',
    ...unit('INSERT a', 'RELEASE unit'),
    ...unit('INSERT x', 'ROLLBACK TO unit; RELEASE unit'),
    ...unit('INSERT b', 'RELEASE unit'),
  ])
})

test('when the commit fails, every unit of the group is told so, and the next group is tried anew', async () => {
  let broken = true
  const { line, log } = brokenConnection((sql) => broken && sql === 'COMMIT')
  const results = await Promise.allSettled([line.write(async () => 1), line.write(async () => 2)])
  for (const r of results)
    assert.match(String(r.status === 'rejected' && r.reason), /SYS\.1016 .*could not commit: COMMIT failed/)
  assert.deepEqual(log.slice(-4), ['hold', 'COMMIT', 'ROLLBACK', 'release'])
  broken = false
  assert.equal(await line.write(async () => 3), 3)
})

test('when one unit loses the transaction, no unit of the group is acknowledged nor run outside it', async () => {
  let broken = true
  const lost = (sql: string) => broken && sql === 'INSERT b'
  const { line, log } = brokenConnection(lost, lost)
  const results = await Promise.allSettled(
    ['a', 'b', 'c'].map((n) => line.write((tx) => tx.run(`INSERT ${n}`, []))),
  )
  assert.deepEqual(
    results.map((r) => r.status),
    ['rejected', 'rejected', 'rejected'],
  )
  assert.ok(!log.includes('INSERT c'))
  assert.ok(!log.includes('COMMIT'))
  broken = false
  assert.equal(await line.write(async () => 'again'), 'again')
})

test('when a unit goes on after it lost the transaction, nothing more of it is run', async () => {
  const lost = (sql: string) => sql === 'INSERT a'
  const { line, log } = brokenConnection(lost, lost)
  const stubborn = line.write(async (tx) => {
    await tx.run('INSERT a', []).catch(() => undefined) // the unit of a careless caller
    await tx.run('INSERT b', [])
  })
  await assert.rejects(stubborn, /this tx is over/)
  assert.ok(!log.includes('INSERT b'))
})

test('when not even the rollback works, later writes are refused with the reason', async () => {
  const { line } = brokenConnection((sql) => sql === 'COMMIT' || sql === 'ROLLBACK')
  await assert.rejects(
    line.write(async () => 1),
    /could not commit/,
  )
  await assert.rejects(
    line.write(async () => 2),
    /could not roll back; restart the management node/,
  )
})

test('a savepoint that cannot be taken back takes the group with it', async () => {
  const { line, log } = brokenConnection((sql) => sql.startsWith('ROLLBACK TO'))
  const results = await Promise.allSettled([
    line.write(async () => 1),
    line.write(changeAndFail),
    line.write(async () => 3),
  ])
  assert.deepEqual(
    results.map((r) => r.status),
    ['rejected', 'rejected', 'rejected'],
  )
  assert.match(String(results[1]?.status === 'rejected' && results[1].reason), /mine/)
  assert.ok(log.includes('ROLLBACK') && !log.includes('COMMIT'))
})

test('nobody is told before the flush, for which readers are held where they were', async () => {
  const { line, log } = brokenConnection(() => false)
  await line.write(async () => log.push('unit'))
  log.push('told')
  assert.deepEqual(log.slice(log.indexOf('unit')), ['unit', 'hold', 'COMMIT', 'FLUSH', 'release', 'told'])
})

test('when the flush fails nobody is told it is done, and nothing is written any more', async () => {
  let broken = true
  const { line, log } = brokenConnection((sql) => broken && sql === 'FLUSH')
  const unknown = { code: 'SYS.1016', details: /FLUSH failed.*Whether the change was made is not known/ }
  await assert.rejects(
    line.write(async () => 1),
    unknown,
  )
  assert.equal(log.at(-1), 'release')
  broken = false
  await assert.rejects(
    line.write(async () => 2),
    unknown,
  )
  assert.equal(log.at(-1), 'release')
})
