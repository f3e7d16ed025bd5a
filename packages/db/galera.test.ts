import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { startGalera, withoutGalera } from '#testkit'
import type { Database, Tx } from './database.ts'
import { openMariadb } from './mariadb.ts'
import { migrate } from './schema.ts'

const skip = withoutGalera
const galera = skip ? undefined : await startGalera({ members: 3 })
after(() => galera?.dispose())

const NODES = ['n1', 'n2', 'n3']
let databases = 0

interface Cluster {
  readonly members: NonNullable<typeof galera>
  /** A management node whose first member is this one. */
  open(node: string, member: number): Database
}

/** A database with a row for the turn, a row that counts, and an empty table of items. */
async function cluster(t: TestContext): Promise<Cluster> {
  assert.ok(galera)
  const members = galera
  const database = `d${databases++}`
  const login = { user: 'root', password: '', poolSize: 2, patienceMs: 20_000 }
  for (const [i, endpoint] of members.endpoints.entries()) {
    const admin = openMariadb({ ...login, endpoints: [endpoint], database: 'mysql' })
    if (i === 0) await admin.execute(`CREATE DATABASE ${database}`)
    // A read waits until the member knows what was done before.
    await admin.all('SELECT 1', [])
    await admin.close()
  }
  const open = (node: string, member: number): Database => {
    const endpoints = [...members.endpoints.slice(member), ...members.endpoints.slice(0, member)]
    const db = openMariadb({ ...login, endpoints, database })
    t.after(() => db.close())
    db.guardWrites({
      sql: 'UPDATE `TurnVO` SET `turn` = `turn` + 1 WHERE `id` = 1 AND EXISTS (SELECT 1 FROM `NodeVO` WHERE `uuid` = ?)',
      params: [node],
      refusal: () => new CloudError(sysErrors.ioError, `${node} is no member any more`),
    })
    return db
  }
  const first = open('n1', 0)
  first.guardWrites(undefined)
  await migrate(first, [
    {
      id: '0001-test',
      create: [
        { name: 'TurnVO', columns: { id: 'int', turn: 'long' }, primaryKey: ['id'] },
        { name: 'NodeVO', columns: { uuid: 'uuid' }, primaryKey: ['uuid'] },
        { name: 'CountVO', columns: { id: 'int', n: 'long' }, primaryKey: ['id'] },
        { name: 'ItemVO', columns: { n: 'int', by: 'string' }, primaryKey: ['by'] },
      ],
    },
  ])
  await first.write(async (tx) => {
    await tx.run('INSERT INTO `TurnVO` (`id`,`turn`) VALUES (?,?)', [1, 0])
    await tx.run('INSERT INTO `CountVO` (`id`,`n`) VALUES (?,?)', [1, 0])
    for (const node of NODES) await tx.run('INSERT INTO `NodeVO` (`uuid`) VALUES (?)', [node])
  })
  return { members, open }
}

async function addOne(tx: Tx): Promise<void> {
  await tx.run('UPDATE `CountVO` SET `n` = `n` + ? WHERE `id` = ?', [1, 1])
}

/** Takes the lowest number nobody has, as allocations do: wrong as soon as it is decided on what is out of date. */
async function takeNext(tx: Tx, by: string): Promise<void> {
  const [row] = await tx.all('SELECT COUNT(*) AS n FROM `ItemVO`', [])
  await tx.run('INSERT INTO `ItemVO` (`n`,`by`) VALUES (?,?)', [Number(row?.n), by])
}

/** What became of a stream of writes. */
interface Told {
  acknowledged: number
  /** Acknowledged, refused or of an unknown end. */
  readonly failures: string[]
  longestMs: number
  readonly names: string[]
}

/** Writes one after another until `isOver`: each counts one up and takes a number. */
async function stream(db: Database, node: string, isOver: () => boolean): Promise<Told> {
  const told: Told = { acknowledged: 0, failures: [], longestMs: 0, names: [] }
  for (let i = 0; !isOver(); i += 1) {
    const startedAt = performance.now()
    const name = `${node}-${i}`
    try {
      await db.write(async (tx) => {
        await addOne(tx)
        await takeNext(tx, name)
      })
      told.acknowledged += 1
      told.names.push(name)
    } catch (error) {
      told.failures.push(String(error))
    }
    told.longestMs = Math.max(told.longestMs, performance.now() - startedAt)
  }
  return told
}

/** Nothing that was acknowledged is missing, nothing was done twice, and what was told as unknown accounts for the rest. */
async function requireExact(db: Database, all: readonly Told[]): Promise<void> {
  const rows = await db.all('SELECT `n`, `by` FROM `ItemVO` ORDER BY `n`', [])
  const names = new Set(rows.map((row) => row.by))
  for (const { names: own } of all) for (const name of own) assert.ok(names.has(name), `${name} is lost`)
  assert.deepEqual(
    rows.map(({ n }) => n),
    rows.map((_, i) => i),
    'a number was taken twice, or none has it',
  )
  const [count] = await db.all('SELECT `n` FROM `CountVO`', [])
  assert.equal(Number(count?.n), rows.length, 'the counter and the items differ')
  const acknowledged = all.reduce((sum, told) => sum + told.acknowledged, 0)
  const failures = all.flatMap((told) => told.failures)
  for (const failure of failures) assert.match(failure, /SYS\.1016/)
  const unknown = failures.filter((failure) => failure.includes('is not known')).length
  assert.ok(rows.length >= acknowledged && rows.length <= acknowledged + unknown)
}

async function wrote(db: Database, count: number): Promise<boolean> {
  const [row] = await db.all('SELECT `n` FROM `CountVO`', [])
  return Number(row?.n) >= count
}

const until = (ms: number) => {
  const end = performance.now() + ms
  return () => performance.now() > end
}

test('groups of nodes on different members are one line: nothing is lost, nothing taken twice', {
  skip,
}, async (t) => {
  const { open } = await cluster(t)
  const nodes = [open('n1', 0), open('n2', 1), open('n3', 2)]
  // Who has won is quicker to win again: nodes should have the same first member. But nobody starves.
  const isLate = until(20_000)
  const took = new Map(NODES.map((node) => [node, 0]))
  const isOver = (node: string) => () => {
    took.set(node, (took.get(node) ?? 0) + 1)
    return isLate() || [...took.values()].every((count) => count > 20)
  }
  const told = await Promise.all(nodes.map((db, i) => stream(db, NODES[i] ?? '', isOver(NODES[i] ?? ''))))
  t.diagnostic(`acknowledged by node: ${told.map(({ acknowledged }) => acknowledged).join(', ')}`)
  assert.deepEqual(
    told.flatMap(({ failures }) => failures),
    [],
  )
  assert.ok(told.every(({ acknowledged }) => acknowledged > 0))
  await requireExact(nodes[0] as Database, told)
})

test('a node that reads after another one wrote through another member sees it', { skip }, async (t) => {
  const { open } = await cluster(t)
  const [one, two] = [open('n1', 0), open('n2', 1)]
  for (let i = 1; i <= 100; i += 1) {
    await one.write(addOne)
    const [row] = await two.all('SELECT `n` FROM `CountVO`', [])
    assert.equal(row?.n, i)
  }
})

test('the member in use is killed under load: the next one takes over, exactly', { skip }, async (t) => {
  const { members, open } = await cluster(t)
  const nodes = [open('n1', 0), open('n2', 0)]
  const isOver = until(7_000)
  const streams = Promise.all(nodes.map((db, i) => stream(db, NODES[i] ?? '', isOver)))
  await waitFor('writes are under way', () => wrote(nodes[0] as Database, 100))
  await members.kill(0)
  const told = await streams
  try {
    t.diagnostic(`longest write: ${told.map(({ longestMs }) => `${longestMs.toFixed(0)} ms`).join(', ')}`)
    t.diagnostic(`failures: ${told.flatMap(({ failures }) => failures).join('; ') || 'none'}`)
    assert.ok(told.every(({ longestMs, failures }) => longestMs < 8_000 && failures.length === 0))
    await requireExact(nodes[0] as Database, told)
    await requireExact(open('n3', 2), told)
  } finally {
    await members.start(0)
  }
})

test('the member in use stops answering: it is left after some seconds, exactly', { skip }, async (t) => {
  const { members, open } = await cluster(t)
  const db = open('n1', 0)
  const isOver = until(10_000)
  const streaming = stream(db, 'n1', isOver)
  await waitFor('writes are under way', () => wrote(db, 100))
  members.freeze(0)
  try {
    const told = await streaming
    t.diagnostic(
      `longest write: ${told.longestMs.toFixed(0)} ms; failures: ${told.failures.join('; ') || 'none'}`,
    )
    assert.ok(told.longestMs > 2_000 && told.longestMs < 9_000, `${told.longestMs} ms`)
    assert.deepEqual(told.failures, [])
    await requireExact(db, [told])
  } finally {
    // The last test: nobody needs it back.
    await members.kill(0)
  }
})
