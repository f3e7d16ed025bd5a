import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  type Arrangement,
  arrange,
  createTestCloud,
  type Reference,
  referenceOf,
  workflowLaws,
} from '#testkit'
import { arrangeBase } from './base-cloud.ts'
import { workflowScenarios } from './workflow-scenarios.ts'

describe('laws of workflows', () => {
  let base: Arrangement
  before(async () => {
    base = await arrangeBase()
  })
  after(() => base.dispose())

  it('every registered workflow has a scenario', async () => {
    const cloud = await createTestCloud()
    try {
      const covered = new Set(workflowScenarios.flatMap(({ workflows }) => workflows))
      const registered = [...cloud.cloud.context.workflows.registered.keys()]
      assert.deepEqual(
        registered.filter((name) => !covered.has(name)),
        [],
        'workflows without a scenario in server/cases/workflow-scenarios.ts',
      )
    } finally {
      await cloud.dispose()
    }
  })

  for (const scenario of workflowScenarios) {
    describe(scenario.name, () => {
      let arranged: Arrangement
      let reference: Reference
      before(async () => {
        arranged = await arrange(base, async (cloud, place) => (await scenario.arrange?.(cloud, place)) ?? {})
        reference = await referenceOf(scenario, arranged)
      })
      after(() => arranged?.dispose())
      workflowLaws(
        scenario,
        () => arranged,
        () => reference,
      )
    })
  }
})
