import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { CloudError, sysErrors } from '#kernel'
import { tempDatabase, testDialect } from '#testkit'
import { compileConditions } from './compile.ts'
import { createQueryEngine } from './engine.ts'
import { createRegistry } from './registry.ts'
import { operators, parseCondition, type QueryCondition } from './request.ts'
import { cluster, host, kvmHost, resources, smallCloud, vm, zone } from './small-cloud.testing.ts'

const registry = createRegistry(resources)
const content = [
  "INSERT INTO ZoneVO VALUES ('z1', 'one')",
  "INSERT INTO ClusterVO VALUES ('c1', 'first', 'z1', 'hush')",
  "INSERT INTO HostVO VALUES ('h1', 'Alpha', 'KVM', 5, 1, 'c1', 'hush'), ('h2', 'beta', 'Simulator', NULL, 0, 'c1', NULL)",
  "INSERT INTO KvmHostVO VALUES ('h1', 8, 'hush', 'z1')",
  "INSERT INTO VmVO VALUES ('v1', '50%', 'h1', 1), ('v2', 'v', NULL, NULL)",
  "INSERT INTO UserTagVO VALUES ('t1', 'h1', 'Gold')",
]

async function cloud(t: TestContext) {
  const { db } = await tempDatabase(t, [smallCloud])
  for (const sql of content) await db.execute(sql)
  const engine = createQueryEngine(db, registry)
  const keys = async (resource: Parameters<typeof engine.query>[0], ...conditions: string[]) => {
    const reply = await engine.query(resource, { conditions: conditions.map(parseCondition) })
    return (reply.inventories ?? []).map((i) => i.uuid)
  }
  return { db, engine, keys }
}

test('an inventory shows its family and what is embedded, from either side, and nothing hidden or secret', async (t) => {
  const { engine } = await cloud(t)
  const h1 = {
    uuid: 'h1',
    name: 'Alpha',
    type: 'KVM',
    size: 5,
    on: true,
    clusterUuid: 'c1',
    cores: 8,
    imageUuid: 'z1',
    vms: [{ uuid: 'v1', name: '50%', hostUuid: 'h1', size: 1 }],
  }
  assert.deepEqual(await engine.view(host, 'h1'), h1)
  assert.deepEqual(await engine.view(kvmHost, 'h1'), h1)
  assert.deepEqual(await engine.view(host, 'h2'), {
    uuid: 'h2',
    name: 'beta',
    type: 'Simulator',
    on: false,
    clusterUuid: 'c1',
    vms: [],
  })
  const shown = await engine.view(cluster, 'c1')
  assert.deepEqual(shown, { uuid: 'c1', name: 'first', zoneUuid: 'z1', hostUuids: ['h1', 'h2'] })
  await assert.rejects(engine.view(host, 'h9'), { code: 'SYS.1003' })
  assert.deepEqual(await engine.missing(host, ['h1', 'h9', 'h2', 'h8']), ['h9', 'h8'])
})

test('fields, parents, subclasses, relations of the family, aliases, plucked names and tags can be asked for', async (t) => {
  const { keys } = await cloud(t)
  assert.deepEqual(await keys(host, 'cores>=8'), ['h1'])
  assert.deepEqual(await keys(kvmHost, 'name=alpha', 'vm.name=50%'), ['h1'])
  assert.deepEqual(await keys(host, 'bootZone.name=one'), ['h1'])
  assert.deepEqual(await keys(kvmHost, 'cluster.zone.name=one', 'zone.name=ONE'), ['h1'])
  assert.deepEqual(await keys(vm, 'kvm.cluster.hostUuids?=h2'), ['v1'])
  assert.deepEqual(await keys(zone, 'cluster.host.vm.size=1'), ['z1'])
  assert.deepEqual(await keys(host, '__userTag__=gold'), ['h1'])
  assert.deepEqual(await keys(host, '__userTag__!=gold'), ['h2'])
  assert.deepEqual(await keys(vm, 'host.__userTag__~=g%'), ['v1'])
  assert.deepEqual(await keys(vm, 'hostUuid is null'), ['v2'])
  assert.deepEqual(await keys(vm, 'hostUuid not null'), ['v1'])
})

test('LIKE has no wildcards but % and _, and no escapes', async (t) => {
  const { keys } = await cloud(t)
  assert.deepEqual(await keys(vm, 'name~=50%'), ['v1'])
  assert.deepEqual(await keys(vm, 'name~=5__'), ['v1'])
  assert.deepEqual(await keys(vm, 'name~=50'), [])
  assert.deepEqual(await keys(vm, 'name~=50\\%'), [])
  assert.deepEqual(await keys(host, 'name~=AL%A'), ['h1'])
})

test('unknown and hidden names are refused with the nearest valid one, in every position', async (t) => {
  const { engine, keys } = await cloud(t)
  const refused = (work: Promise<unknown>, details: RegExp) =>
    assert.rejects(work, { code: 'SYS.1007', details })
  await refused(keys(host, 'nmae=x'), /HostInventory has no queryable field 'nmae'; did you mean 'name'/)
  await refused(keys(host, 'core=x'), /did you mean 'cores'/)
  await refused(keys(vm, 'hots.name=x'), /related resource 'hots' \(in 'hots\.name'\); did you mean 'host'/)
  await refused(keys(cluster, 'absent.x=1'), /no queryable related resource 'absent'/)
  for (const hidden of ['password', 'internal', 'cluster.internal'])
    for (const resource of [host, kvmHost])
      await refused(keys(resource, `${hidden}=hush`), /no queryable field/)
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    for (const path of [name, `cluster.${name}`, `${name}.name`])
      await refused(keys(host, `${path}=x`), /no queryable/)
    await refused(engine.query(host, { conditions: [], sortBy: name }), /to sort by/)
    await refused(engine.query(host, { conditions: [], fields: [name] }), /to show/)
  }
  await refused(engine.query(host, { conditions: [], fields: ['internal'] }), /to show/)
  await refused(engine.query(host, { conditions: [], sortBy: 'internal' }), /to sort by/)
})

test('values that do not fit, paging that makes no sense and monstrous queries are refused', async (t) => {
  const { engine, keys } = await cloud(t)
  const refused = (work: Promise<unknown>) => assert.rejects(work, { code: 'SYS.1007' })
  for (const bad of ['size=x', 'size=', 'size?=1,,2', 'on=1', 'on=TRUE', 'name'])
    await refused((async () => keys(host, bad))())
  for (const op of operators.filter((o) => !o.includes('null')))
    await refused(engine.query(host, { conditions: [{ name: 'name', op }] }))
  for (const n of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await refused(engine.query(host, { conditions: [], limit: n }))
    await refused(engine.query(host, { conditions: [], start: n }))
  }
  await refused(keys(host, `${'cluster.host.'.repeat(500)}name=x`))
  await refused(keys(host, ...Array.from({ length: 2_000 }, () => 'name=x')))
  assert.deepEqual((await engine.query(host, { conditions: [], limit: 0 })).inventories, [])
})

test('whatever is asked, the answer is an answer or SYS.1007, and no injected SQL is run', async (t) => {
  const { db, engine } = await cloud(t)
  const evil = fc.constantFrom(
    "x'; DROP TABLE VmVO; --",
    "x' OR '1'='1",
    '`; DELETE FROM VmVO; --',
    'name` = `name',
    'uuid) OR 1=1 --',
    'name',
    'uuid',
    "' UNION SELECT password FROM KvmHostVO --",
    '\u0000',
    '%',
    '1',
  )
  const word = fc.oneof(evil, fc.string())
  const path = fc.array(fc.oneof(word, fc.constantFrom('host', 'cluster', 'kvm')), {
    minLength: 1,
    maxLength: 4,
  })
  const condition: fc.Arbitrary<QueryCondition> = fc.record({
    name: path.map((names) => names.join('.')),
    op: fc.constantFrom(...operators),
    value: word,
  })
  const request = fc.record({
    conditions: fc.oneof(
      fc.array(condition, { maxLength: 3 }),
      word.map((w) => {
        try {
          return [parseCondition(`name${w}`)]
        } catch {
          return [] // not a condition at all
        }
      }),
    ),
    sortBy: fc.option(word, { nil: undefined }),
    sortDirection: evil.map((text) => text as 'asc'),
    fields: fc.option(fc.array(word, { maxLength: 2 }), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(vm, host, kvmHost), request, async (resource, asked) => {
      try {
        assert.doesNotMatch(JSON.stringify(await engine.query(resource, asked)), /hush/)
      } catch (error) {
        assert.ok(error instanceof CloudError, String(error))
        assert.equal(error.code, 'SYS.1007')
      }
    }),
    { numRuns: 1_000 },
  )
  assert.equal((await db.all('SELECT uuid FROM VmVO', [])).length, 2)
})

test('tags are refused when no plugin stores them', async (t) => {
  const { db } = await tempDatabase(t, [smallCloud])
  const engine = createQueryEngine(db, createRegistry([host, cluster, zone]))
  await assert.rejects(engine.query(host, { conditions: [parseCondition('__userTag__=x')] }), {
    code: 'SYS.1007',
  })
})

test('pages neither repeat nor miss rows that sort equal', async (t) => {
  const { db, engine } = await cloud(t)
  await db.write(async (tx) => {
    for (let n = 1; n <= 9; n += 1) await tx.run('INSERT INTO ZoneVO VALUES (?, ?)', [`y${n}`, 'same'])
  })
  const seen: unknown[] = []
  for (let start = 0; start < 10; start += 3) {
    const page = await engine.query(zone, { conditions: [], sortBy: 'name', limit: 3, start })
    seen.push(...(page.inventories ?? []).map((i) => i.uuid))
  }
  assert.deepEqual([seen.length, new Set(seen).size], [10, 10])
})

const explainsAsSqlite = testDialect === 'sqlite' ? {} : { skip: 'reads the plans of SQLite' }
test(
  'conditions along relations are answered from indexes: no table is scanned',
  explainsAsSqlite,
  async (t) => {
    const { db } = await cloud(t)
    const plans: [typeof vm | typeof host, string][] = [
      [vm, 'host.name=x'],
      [vm, 'host.cluster.uuid=x'],
      [zone as never, 'cluster.host.vm.name=x'],
      [host, 'vm.uuid=x'],
      [kvmHost, 'cluster.uuid=x'],
      [host, '__userTag__=x'],
    ]
    for (const [resource, condition] of plans) {
      const where = compileConditions(registry, resource, [parseCondition(condition)])
      const plan = await db.all(
        `EXPLAIN QUERY PLAN SELECT * FROM \`${resource.table}\`${where.sql}`,
        where.params,
      )
      for (const { detail } of plan) assert.doesNotMatch(String(detail), /^SCAN/, `${condition}: ${detail}`)
    }
  },
)

test('what a call shows at its end is read when the database answers again; other failures and what is not there are told at once', async (t) => {
  const { db: real } = await cloud(t)
  const failures: unknown[] = []
  const rows: typeof real.rows = (sql, params) =>
    failures.length > 0 ? Promise.reject(failures.shift()) : real.rows(sql, params)
  const engine = createQueryEngine({ ...real, rows }, registry)
  const down = new CloudError(sysErrors.ioError, 'no database server answers')
  failures.push(down, down)
  assert.equal((await engine.view(zone, 'z1')).name, 'one')
  assert.equal(failures.length, 0)
  failures.push(new Error('a bug'))
  await assert.rejects(engine.view(zone, 'z1'), /a bug/)
  await assert.rejects(engine.view(zone, 'z9'), { code: 'SYS.1003' })
})
