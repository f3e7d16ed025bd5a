import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Database } from '#db'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { queryBackupStorage, reconnectBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import {
  type Arrangement,
  arrange,
  assertFinished,
  assertSound,
  isFinished,
  type Reference,
  referenceOf,
  repeat,
  type TestCloud,
  type WorkflowScenario,
  withCopy,
} from '#testkit'
import { arrangeBase } from './base-cloud.ts'
import { workflowScenarios } from './workflow-scenarios.ts'

const REASON = 'attempt to write a readonly database'

/** A database that refuses the write of a number once it is armed. */
function refusing(at: number) {
  let writes = -1
  let refused = false
  const wrap = (db: Database): Database => ({
    ...db,
    write: (unit) => {
      if (writes < 0) return db.write(unit)
      writes += 1
      if (writes - 1 !== at) return db.write(unit)
      refused = true
      const details = `the database cannot write: ${REASON}. Nothing was changed`
      return Promise.reject(new CloudError(sysErrors.ioError, details))
    },
  })
  return {
    wrap,
    arm: () => {
      writes = 0
    },
    disarm: () => {
      writes = -1
    },
    hasRefused: () => refused,
  }
}

/** Whether the scenario came to the write of this number; what is left when it was refused is looked at. */
async function refuseAt(
  scenario: WorkflowScenario,
  arranged: Arrangement,
  reference: Reference,
  at: number,
): Promise<boolean> {
  const database = refusing(at)
  return withCopy(arranged, { wrap: database.wrap }, async (cloud) => {
    database.arm()
    const failure = await Promise.resolve(scenario.act(cloud, arranged.place)).then(
      () => undefined,
      (error: unknown) => error,
    )
    database.disarm()
    if (!database.hasRefused()) return false
    await putRight(cloud)
    // What only goes forward may be half way, and goes on when it is repeated.
    const mayBeHalfWay = failure !== undefined && goesForward(cloud, scenario)
    if (!mayBeHalfWay) await assertSound(cloud)
    if (failure === undefined) await assertFinished(cloud, scenario, reference)
    else if (!saysWhatIsThere(failure) && !(await isFinished(cloud, scenario, reference)))
      await repeat(cloud, scenario, arranged, reference)
    return true
  })
}

function goesForward({ cloud }: TestCloud, { workflows }: WorkflowScenario): boolean {
  const { registered } = cloud.context.workflows
  return workflows.some((name) => registered.get(name)?.afterCrash !== 'rollback')
}

function saysWhatIsThere(failure: unknown): boolean {
  return failure instanceof CloudError && /was made, but its tags were not/.test(failure.details)
}

/** What is done from time to time, done now. */
async function putRight({ cloud, ...running }: TestCloud): Promise<void> {
  const { workflows } = cloud.context
  for (const { uuid } of await running.query(queryBackupStorage))
    await running.call(reconnectBackupStorage, { uuid: String(uuid) })
  const isOver = async () => (await workflows.retryStuck()).length === 0
  await waitFor('no workflow is stuck any more', isOver, { intervalMs: 2 })
  await cloud.jobs.recordLeft()
}

describe('a database that refuses one write of a workflow', () => {
  let base: Arrangement
  before(async () => {
    base = await arrangeBase()
  })
  after(() => base.dispose())

  for (const scenario of workflowScenarios)
    it(`${scenario.name}: whichever it is, the books are exact and the call can be repeated`, async () => {
      const arranged = await arrange(
        base,
        async (cloud, place) => (await scenario.arrange?.(cloud, place)) ?? {},
      )
      try {
        const reference = await referenceOf(scenario, arranged)
        let at = 0
        for (let more = true; more; at += 1)
          more = await refuseAt(scenario, arranged, reference, at).catch((error: Error) => {
            throw new Error(`write ${at}: ${error.message}`, { cause: error })
          })
        assert.ok(at > 1, 'the scenario writes nothing')
      } finally {
        await arranged.dispose()
      }
    })
})
