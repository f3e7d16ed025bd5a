import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CloudError, sysErrors, toErrorBody, waitFor } from '#kernel'
import { queryHost, reconnectHost } from '#plugins/host/contract/apis.ts'
import type { WorkflowMoment, WorkflowObserver } from '#workflow'
import { audit } from './audit.ts'
import type { TestCloud } from './cloud.ts'
import { type Arrangement, type WorkflowScenario, withCopy } from './scenario.ts'
import { anonymous, differences, stateLines } from './state-lines.ts'

/** How a scenario goes when nothing disturbs it. */
export interface Reference {
  /** Moments of steps that ran, in order; not those of undos. */
  readonly moments: readonly WorkflowMoment[]
  /** How many undos a failure after its last step causes. */
  readonly undos: number
  readonly before: readonly string[]
  readonly after: readonly string[]
}

/** Runs the scenario undisturbed and checks that it runs what it says. */
export async function referenceOf(scenario: WorkflowScenario, arrangement: Arrangement): Promise<Reference> {
  const moments: WorkflowMoment[] = []
  return withCopy(
    arrangement,
    { observe: watch(async (moment) => void moments.push(moment)) },
    async (cloud) => {
      const before = await linesOf(cloud, scenario)
      moments.length = 0
      await scenario.act(cloud, arrangement.place)
      await assertSound(cloud)
      const names = [...new Set(moments.map(({ workflow }) => workflow))].sort()
      assert.deepEqual(names, [...scenario.workflows].sort(), 'the workflows the scenario runs')
      const undos = undosOf(cloud, moments)
      return { moments, undos, before, after: await linesOf(cloud, scenario) }
    },
  )
}

/** Those of the workflow that ran last: what it started before has ended, and is undone by its own steps. */
function undosOf({ cloud }: TestCloud, moments: readonly WorkflowMoment[]): number {
  const name = moments.at(-1)?.workflow ?? ''
  const steps = cloud.context.workflows.registered.get(name)?.steps ?? []
  const canUndo = new Set(steps.filter(({ undo }) => typeof undo === 'function').map((step) => step.name))
  const ran = moments.filter(({ workflow, phase }) => workflow === name && phase === 'ran')
  return ran.filter(({ step }) => canUndo.has(step)).length
}

/**
 * The laws of one scenario, each for every step that really ran: a step that fails before or after its effect leaves nothing
 * (or, when its workflow goes forward, a state from which a repeat completes), every step and every undo may run twice, and
 * what could not be undone while the agents were away is undone when they are back.
 */
export function workflowLaws(
  scenario: WorkflowScenario,
  arranged: () => Arrangement,
  reference: () => Reference,
): void {
  it('every step may run twice', () =>
    withCopy(
      arranged(),
      { observe: async ({ phase }) => (phase === 'ran' ? 'repeat' : undefined) },
      async (cloud) => {
        await scenario.act(cloud, arranged().place)
        await assertSound(cloud)
        await assertFinished(cloud, scenario, reference())
      },
    ))

  it('whatever step fails, nothing is left, and the call can be repeated', async (t) => {
    for (const [at, moment] of reference().moments.entries())
      await t.test(`${tell(moment, at)} fails`, () => failAt(scenario, arranged(), reference(), { at }))
  })

  it('every undo may run twice', () =>
    failAt(scenario, arranged(), reference(), { at: reference().moments.length - 1, undoTwice: true }))

  it('what agents that are away keep from being undone is undone when they are back', () =>
    failAt(scenario, arranged(), reference(), { at: reference().moments.length - 1, agentsAway: true }))
}

interface Failing {
  readonly at: number
  readonly undoTwice?: boolean
  readonly agentsAway?: boolean
}

async function failAt(
  scenario: WorkflowScenario,
  arrangement: Arrangement,
  reference: Reference,
  { at, undoTwice, agentsAway }: Failing,
): Promise<void> {
  let armed = false
  let next = 0
  const injected = `injected at moment ${at}`
  const observe: WorkflowObserver = async ({ phase }) => {
    if (phase === 'undone') return undoTwice === true ? 'repeat' : undefined
    if (!armed || next++ !== at) return undefined
    armed = false
    if (agentsAway === true) takeAgentsAway(running)
    throw new Error(injected)
  }
  let running: TestCloud
  await withCopy(arrangement, { observe }, async (cloud) => {
    running = cloud
    armed = true
    await assert.rejects(
      async () => scenario.act(cloud, arrangement.place),
      (error) => assertInjected(error, injected),
    )
    if (agentsAway === true) await bringAgentsBack(cloud)
    await assertSound(cloud)
    const outcome = outcomeOf(cloud, scenario, reference, at)
    // A guest that was found running when its host came back may stay where it is.
    const mayBeDone = agentsAway === true && (await isFinished(cloud, scenario, reference))
    if (outcome === 'as before' && !mayBeDone)
      assertSame(reference.before, await linesOf(cloud, scenario), 'what was before and what is left')
    if (outcome === 'finished') await assertFinished(cloud, scenario, reference)
    await repeat(cloud, scenario, arrangement, reference)
  })
}

/** What must have become of a workflow that failed at a moment. One that only goes forward must be sound; a repeat ends it. */
export function outcomeOf(
  { cloud }: TestCloud,
  { pointOfNoReturn }: WorkflowScenario,
  { moments }: Reference,
  at: number,
): 'as before' | 'finished' | 'sound' {
  const workflow = moments[at]?.workflow ?? ''
  if (cloud.context.workflows.registered.get(workflow)?.afterCrash !== 'rollback') return 'sound'
  const effect = moments.findIndex(({ step, phase }) => step === pointOfNoReturn && phase === 'ran')
  return effect >= 0 && at >= effect ? 'finished' : 'as before'
}

/** A repeat may be refused when there is nothing left to do; what counts is that all is done. */
export async function repeat(
  cloud: TestCloud,
  scenario: WorkflowScenario,
  { place }: Arrangement,
  reference: Reference,
) {
  const refusal = await Promise.resolve(scenario.act(cloud, place)).then(
    () => undefined,
    (error: Error) => error,
  )
  try {
    await assertSound(cloud)
    await assertFinished(cloud, scenario, reference)
  } catch (error) {
    throw refusal === undefined ? error : new Error(`the repeat failed: ${refusal.message}`, { cause: error })
  }
}

function takeAgentsAway({ world }: TestCloud): void {
  const silence = new CloudError(sysErrors.ioError, 'the agent is away')
  for (const { knobs } of [...world.hosts.values(), ...world.backupStorages.values()])
    knobs.failAlways('*', silence)
}

async function bringAgentsBack({ world, cloud, ...call }: TestCloud): Promise<void> {
  for (const { knobs } of world.hosts.values()) knobs.clear()
  for (const { knobs } of world.backupStorages.values()) knobs.clear()
  for (const { uuid } of await call.query(queryHost)) await call.call(reconnectHost, { uuid: String(uuid) })
  const { workflows } = cloud.context
  await workflows.retryStuck()
  // The reconnection has begun a round, too.
  const isOver = async () => (await workflows.unfinished()).length === 0
  await waitFor('no workflow is stuck any more', isOver, { intervalMs: 2, timeoutMs: 3_000 })
}

function assertInjected(error: unknown, injected: string): boolean {
  const told = JSON.stringify(toErrorBody(error as Error))
  assert.ok(told.includes(injected), `the call failed for another reason: ${told}`)
  return true
}

/** Nothing is wrong in the database or the world, and nothing is left in the journal. */
export async function assertSound({ cloud, world }: TestCloud): Promise<void> {
  assert.deepEqual(await audit(cloud.context.db, world), [], 'what the auditor finds')
}

export function linesOf({ cloud, world }: TestCloud, { allowance }: WorkflowScenario): Promise<string[]> {
  return stateLines(cloud.context.db, world, allowance)
}

export function assertSame(expected: readonly string[], actual: readonly string[], what: string): void {
  const found = differences(expected, actual)
  assert.ok(found.length === 0, `${what} differ:\n${found.join('\n')}`)
}

export async function isFinished(cloud: TestCloud, scenario: WorkflowScenario, { before, after }: Reference) {
  const outcome = anonymous(await linesOf(cloud, scenario), before)
  return differences(anonymous(after, before), outcome).length === 0
}

export async function assertFinished(
  cloud: TestCloud,
  scenario: WorkflowScenario,
  { before, after }: Reference,
) {
  const outcome = anonymous(await linesOf(cloud, scenario), before)
  assertSame(anonymous(after, before), outcome, 'the undisturbed outcome and this one')
}

function watch(see: (moment: WorkflowMoment) => Promise<void>): WorkflowObserver {
  return async (moment) => {
    if (moment.phase !== 'undone') await see(moment)
    return undefined
  }
}

function tell({ workflow, step, phase }: WorkflowMoment, at: number): string {
  return `${at}: ${workflow} ${step} ${phase === 'journalled' ? 'before' : 'after'} its effect`
}
