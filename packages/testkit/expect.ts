import assert from 'node:assert/strict'
import type { Api } from '#contract'
import { CloudError } from '#kernel'
import type { TestCloud } from './cloud.ts'
import { tableNames } from './test-database.ts'

/** Tables that change by themselves or by the mere fact of a call. */
const volatile = [
  'ClusterEpochVO',
  'ClusterMemberVO',
  'JobVO',
  'ManagementNodeVO',
  'SessionVO',
  'WorkflowStepVO',
  'WorkflowVO',
]

/** Every row of the database but those that change by the mere fact of a call; times of change and measured free space are left out. */
export async function databaseContent(cloud: TestCloud): Promise<Record<string, unknown[]>> {
  const { db } = cloud.cloud.context
  const content: Record<string, unknown[]> = {}
  for (const name of await tableNames(db)) {
    if (volatile.includes(name)) continue
    const rows = await db.all(`SELECT * FROM \`${name}\``, [])
    content[name] = rows
      .map(({ lastOpDate, availablePhysicalCapacity, ...row }) => JSON.stringify(row))
      .sort()
  }
  return content
}

export interface Refusal {
  readonly code: string
  /** What the details must say. */
  readonly says: RegExp
  /** The field the error names. */
  readonly field?: string
}

/** Asserts that `input` is refused as told, and that nothing in the database is changed by it. */
export async function assertRefused(
  cloud: TestCloud,
  api: Api,
  input: Readonly<Record<string, unknown>>,
  expected: Refusal,
): Promise<CloudError> {
  const before = await databaseContent(cloud)
  const error = await cloud.call(api, input as never).then(
    (reply) => assert.fail(`${api.name} was not refused: ${JSON.stringify(reply)}`),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof CloudError, `${api.name} failed by a bug: ${String(error)}`)
  const { code, opaque } = error
  const field = expected.field === undefined ? undefined : opaque?.field
  const wanted = { code: expected.code, field: expected.field }
  assert.deepEqual({ code, field }, wanted, `${api.name} ${JSON.stringify(input)}: ${error.message}`)
  assert.match(error.details, expected.says)
  assert.deepEqual(await databaseContent(cloud), before, `${api.name} was refused but changed something`)
  return error
}
