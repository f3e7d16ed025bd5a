import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '#kernel'
import { GatheredReads } from './gathered-reads.ts'
import type { Query } from './read-batch.ts'
import { storageError } from './storage-errors.ts'

const byUuid = (table: string) => `SELECT \`uuid\` FROM \`${table}\` WHERE \`uuid\` = ? LIMIT 1`
const PAGE = 'SELECT `uuid` FROM `T` ORDER BY `name` LIMIT 100'
const COUNT = 'SELECT COUNT(*) AS n FROM `T` WHERE `uuid` = ?'
const key = '0'.repeat(32)

/** A server that answers when it is told to. */
function server() {
  const packets: { queries: readonly Query[]; end: (error?: unknown) => void }[] = []
  const reads = new GatheredReads(
    (queries) =>
      new Promise((resolve, reject) => {
        const end = (error?: unknown) => {
          if (error !== undefined) return reject(error)
          for (const query of queries) query.answer([])
          resolve()
        }
        packets.push({ queries, end })
      }),
  )
  const arrived = (count: number) => waitFor(`packet ${count}`, () => packets.length >= count)
  return { packets, reads, arrived, ask: (table: string) => reads.session.rows(byUuid(table), [key]) }
}

test('quick questions share packets, two at a time; what comes meanwhile is gathered for the next', async () => {
  const { packets, arrived, ask } = server()
  const first = [ask('A'), ask('B')]
  await arrived(1)
  const second = ask('C')
  await arrived(2)
  const third = ['D', 'E', 'F'].map(ask)
  // Had they been sent, it would have been in the turn after this one.
  for (let turns = 0; turns < 3; turns += 1) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    packets.map(({ queries }) => queries.length),
    [2, 1],
  )
  packets[0]?.end()
  await Promise.all(first)
  await arrived(3)
  assert.equal(packets[2]?.queries.length, 3)
  packets[1]?.end()
  packets[2]?.end()
  await Promise.all([second, ...third])
})

test('a list, a count and rows as objects wait for nobody, and nobody for them', async () => {
  const { packets, arrived, ask, reads } = server()
  const slow = [
    reads.session.rows(PAGE, []),
    reads.session.rows(COUNT, [key]),
    reads.session.all(byUuid('A'), [key]),
  ]
  await arrived(3)
  assert.equal(reads.isAsked, true)
  const quick = ask('A')
  await arrived(4)
  packets[3]?.end()
  await quick
  for (const { end } of packets.slice(0, 3)) end()
  await Promise.all(slow)
  await waitFor('nobody asks', () => !reads.isAsked)
})

test('one that fails takes none of its packet with it', async () => {
  const { packets, arrived, ask } = server()
  const asked = Promise.allSettled([ask('A'), ask('B')])
  await arrived(1)
  packets[0]?.end(new Error('no such table'))
  await arrived(3)
  packets[1]?.end()
  packets[2]?.end(new Error('no such table B'))
  const [a, b] = await asked
  assert.deepEqual([a?.status, b?.status], ['fulfilled', 'rejected'])
})

test('when no server answers, nobody is asked again', async () => {
  const { packets, arrived, ask } = server()
  const asked = Promise.allSettled([ask('A'), ask('B')])
  await arrived(1)
  packets[0]?.end(storageError('no server answers', 'refused'))
  const statuses = (await asked).map(({ status }) => status)
  assert.deepEqual([statuses, packets.length], [['rejected', 'rejected'], 1])
})
