import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Resource } from '#contract'
import type { Database } from '#db'
import { tempDatabase } from '#testkit'
import { createQueryEngine, type QueryEngine } from './engine.ts'
import { type ModelRow, type ModelRows, modelAnswer } from './naive-model.testing.ts'
import { createRegistry } from './registry.ts'
import { operators, type QueryCondition, type QueryRequest } from './request.ts'
import { cluster, host, kvmHost, resources, smallCloud, vm, zone } from './small-cloud.testing.ts'

const registry = createRegistry(resources)
const uuid = (prefix: string) => fc.integer({ min: 1, max: 4 }).map((n) => `${prefix}${n}`)
const name = fc.constantFrom('', 'a', 'A', 'ab', 'aB', 'b', 'a%', 'a_b', "a'b")
const size = fc.option(fc.integer({ min: -1, max: 3 }), { nil: undefined })
const some = (row: fc.Arbitrary<ModelRow>) => fc.uniqueArray(row, { maxLength: 4, selector: (r) => r.uuid })
const tags = some(
  fc.record({ uuid: uuid('t'), resourceUuid: fc.oneof(uuid('h'), uuid('v'), uuid('z')), tag: name }),
)

const rowsOf: fc.Arbitrary<ModelRows> = fc
  .record({
    ZoneVO: some(fc.record({ uuid: uuid('z'), name })),
    ClusterVO: some(fc.record({ uuid: uuid('c'), name, zoneUuid: uuid('z') })),
    HostVO: some(
      fc.record({
        uuid: uuid('h'),
        name,
        type: fc.constantFrom('KVM', 'Simulator'),
        size,
        on: fc.boolean(),
        clusterUuid: uuid('c'),
      }),
    ),
    VmVO: some(
      fc.record({ uuid: uuid('v'), name, size, hostUuid: fc.option(uuid('h'), { nil: undefined }) }),
    ),
    UserTagVO: tags,
    SystemTagVO: tags,
    cores: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 4, maxLength: 4 }),
    imageUuid: fc.option(uuid('z'), { nil: undefined }),
  })
  .map(({ cores, imageUuid, ...rows }) => ({
    ...rows,
    KvmHostVO: rows.HostVO.filter((h) => h.type === 'KVM').map((h, i) => ({
      uuid: h.uuid,
      cores: cores[i],
      password: 'hush',
      imageUuid,
    })),
  }))

/** A condition along up to three relations, from `resource` to any field or tag. */
function conditionOn(resource: Resource, depth: number): fc.Arbitrary<QueryCondition> {
  const field = fc
    .constantFrom(...registry.fieldNamesOf(resource))
    .chain((fieldName) => leaf(resource, fieldName))
  const tag = fc.constantFrom('__userTag__', '__systemTag__').chain((n) => leaf(resource, n))
  if (depth === 0) return fc.oneof({ weight: 4, arbitrary: field }, { weight: 1, arbitrary: tag })
  const steps = registry
    .relationsOf(resource)
    .map((r) => conditionOn(r.target, depth - 1).map((c) => ({ ...c, name: `${r.name}.${c.name}` })))
  const aliases = Object.entries(resource.aliases).map(([alias, path]) => {
    const target = path.split('.').reduce((r, n) => registry.relationOf(r, n)?.target ?? r, resource)
    return conditionOn(target, depth - 1).map((c) => ({ ...c, name: `${alias}.${c.name}` }))
  })
  return fc.oneof(field, tag, ...steps, ...aliases)
}

function leaf(resource: Resource, fieldName: string): fc.Arbitrary<QueryCondition> {
  const kind = registry.fieldOf(resource, fieldName)?.field.kind
  const text = fieldName.toLowerCase().endsWith('uuid')
    ? fc.oneof(uuid('z'), uuid('c'), uuid('h'), uuid('v'), fc.constant('H1'))
    : fc.oneof(name, fc.constantFrom('KVM', 'kvm'))
  const value =
    kind === 'int'
      ? fc.integer({ min: -1, max: 3 }).map(String)
      : kind === 'boolean'
        ? fc.constantFrom('true', 'false')
        : text
  return fc
    .constantFrom(...operators.filter((op) => kind !== 'boolean' || !op.includes('like')))
    .chain((op): fc.Arbitrary<QueryCondition> => {
      if (op === 'is null' || op === 'is not null') return fc.constant({ name: fieldName, op })
      if (op.endsWith('in'))
        return fc
          .array(value, { minLength: 1, maxLength: 3 })
          .map((v) => ({ name: fieldName, op, value: v.join(',') }))
      const pattern = fc.constantFrom('%', '_', 'A%', '%b', 'a_', '%a%', '1', '', 'h%', 'a\\%')
      return (op.endsWith('like') ? pattern : value).map((v) => ({ name: fieldName, op, value: v }))
    })
}

const sized = {
  limit: fc.option(fc.nat(3), { nil: undefined }),
  start: fc.option(fc.nat(3), { nil: undefined }),
}
const requestOn = (resource: Resource): fc.Arbitrary<QueryRequest> =>
  fc.oneof(
    fc.record({ conditions: fc.array(conditionOn(resource, 3), { maxLength: 3 }) }),
    fc.record({
      conditions: fc.array(conditionOn(resource, 1), { maxLength: 1 }),
      sortBy: fc.constantFrom(
        ...Object.keys(resource.fields).filter((f) => registry.fieldOf(resource, f)?.owner === resource),
      ),
      sortDirection: fc.constantFrom('asc', 'desc', undefined),
      ...sized,
    }),
  )
const question = fc
  .constantFrom<Resource>(zone, cluster, host, kvmHost, vm)
  .chain((resource) => fc.tuple(fc.constant(resource), requestOn(resource)))

async function fill(db: Database, rows: ModelRows): Promise<void> {
  await db.write(async (tx) => {
    for (const [table, content] of Object.entries(rows)) {
      await tx.run(`DELETE FROM \`${table}\``, [])
      for (const row of content) {
        const columns = Object.keys(row)
        const values = Object.values(row).map((v) =>
          v === undefined ? null : typeof v === 'boolean' ? Number(v) : v,
        )
        const sql = `INSERT INTO \`${table}\` (\`${columns.join('`,`')}\`) VALUES (${columns.map(() => '?').join(',')})`
        await tx.run(sql, values)
      }
    }
  })
}

test('any query over any small cloud gives what the naive model gives', async (t) => {
  const { db } = await tempDatabase(t, [smallCloud])
  await compareWithModel(db, createQueryEngine(db, registry), 250)
})

test('so it does when the cloud counts as a big one', async (t) => {
  const { db } = await tempDatabase(t, [smallCloud])
  await compareWithModel(db, createQueryEngine(db, registry, { few: 0, notTooMany: 1, window: 1 }), 250)
})

async function compareWithModel(db: Database, engine: QueryEngine, numRuns: number): Promise<void> {
  let answered = 0
  await fc.assert(
    fc.asyncProperty(rowsOf, fc.array(question, { minLength: 5, maxLength: 10 }), async (rows, questions) => {
      await fill(db, rows)
      for (const [resource, request] of questions) {
        const expected = modelAnswer(registry, rows, resource, request)
        const { inventories = [], total } = await engine.query(resource, { ...request, replyWithCount: true })
        const keys = inventories.map((i) => String(i.uuid))
        assert.deepEqual(
          request.sortBy === undefined ? keys.toSorted() : keys,
          expected,
          JSON.stringify(request),
        )
        const { limit: _limit, start: _start, ...unpaged } = request
        assert.equal(total, modelAnswer(registry, rows, resource, unpaged).length)
        assert.deepEqual(await engine.query(resource, { ...request, count: true }), { total })
        assert.doesNotMatch(JSON.stringify(inventories), /hush|password|internal/)
        answered += expected.length
      }
    }),
    { numRuns },
  )
  assert.ok(answered > 500, `the queries found only ${answered} rows: they test too little`)
}
