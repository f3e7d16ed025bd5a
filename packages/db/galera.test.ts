import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startGalera, withoutGalera } from '#testkit'
import type { Database } from './database.ts'
import { openMariadb } from './mariadb.ts'

const skip = withoutGalera
const galera = skip ? undefined : await startGalera({ members: 3 })
after(() => galera?.dispose())

test('a cluster answers, and what one member commits another one knows', { skip }, async (t) => {
  assert.ok(galera)
  const login = { user: 'root', password: '', poolSize: 2 }
  const open = (first: number): Database => {
    const { endpoints } = galera
    const order = [...endpoints.slice(first), ...endpoints.slice(0, first)]
    const db = openMariadb({ ...login, endpoints: order, database: 'test' })
    t.after(() => db.close())
    return db
  }
  const admin = openMariadb({ ...login, endpoints: galera.endpoints, database: 'mysql' })
  t.after(() => admin.close())
  await admin.execute('CREATE DATABASE test')
  const [one, two] = [open(0), open(1)]
  await one.execute('CREATE TABLE ItemVO (uuid VARCHAR(64) PRIMARY KEY, n BIGINT) ENGINE=InnoDB')
  await one.write((tx) => tx.run('INSERT INTO ItemVO VALUES (?, ?)', ['a', 1]))
  assert.deepEqual(await two.all('SELECT uuid FROM ItemVO', []), [{ uuid: 'a' }])
})
