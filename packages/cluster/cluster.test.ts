import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyedQueues, type Logger, newUuid, silentLogger } from '#kernel'
import { tempDatabase } from '#testkit'
import { createCluster } from './cluster.ts'
import { clusterMigration } from './records.ts'

test('what a listener fails with is logged, and the others hear of the change', async (t) => {
  const { db } = await tempDatabase(t, [clusterMigration])
  const lines: string[] = []
  const log: Logger = {
    ...silentLogger,
    warn: (fields, message) => void lines.push(`${message}: ${(fields as { err: string }).err}`),
  }
  const node = { uuid: newUuid(), address: '127.0.0.1' }
  const cluster = createCluster({
    ...{ db, node, queues: new KeyedQueues(), log, isAlone: true },
    ...{ takeOver: async () => {}, onFenced: () => assert.fail('fenced') },
  })
  t.after(() => cluster.dispose())
  const heard: number[] = []
  cluster.onChange('counting', async () => {
    throw new Error('the database is away')
  })
  cluster.onChange('measuring', () => {
    throw new Error('no ruler')
  })
  cluster.onChange('hearing', ({ epoch }) => void heard.push(epoch))
  await cluster.join(undefined, () => {})
  await cluster.settled()
  assert.deepEqual(heard, [cluster.epoch])
  // Whoever fails later may be logged first.
  assert.deepEqual(lines.sort(), [
    'after a change of the cluster: counting failed: the database is away',
    'after a change of the cluster: measuring failed: no ruler',
  ])
})
