import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Tx } from '#db'
import { silentLogger, withTask } from '#kernel'
import { tempDatabase } from '#testkit'
import { defineStep, defineWorkflow, type Workflow } from './define.ts'
import { createWorkflowEngine, type WorkflowEngine, type WorkflowObserver } from './engine.ts'
import { createJournal, workflowMigration, workflowOwnerMigration } from './journal.ts'
import type { RecoveredWorkflow } from './recovery.ts'

const AFTER_CRASH = { afterCrash: 'resume' } as const

interface Family {
  readonly engine: WorkflowEngine
  readonly outer: Workflow<string, void>
  /** Makes the undo of the inner workflow fail. */
  breakUndo(): void
}

/** A run of a node with a workflow, `outer`, that has another, `inner`, do its work. The outer one is resumed after a crash. */
function family(journal: ReturnType<typeof createJournal>, observe?: WorkflowObserver): Family {
  const engine = createWorkflowEngine({
    journal,
    log: silentLogger,
    ...(observe === undefined ? {} : { observe }),
  })
  let isBroken = false
  const work = defineStep<string, void>({
    name: 'work',
    run: async () => {},
    undo: async () => {
      if (isBroken) throw new Error('the host is away')
    },
  })
  const inner = defineWorkflow<string, void>('inner', [work], (flow, input) => flow.step(work, input))
  const delegate = defineStep<string, void>({
    name: 'delegate',
    run: (input) => engine.run(inner, input),
    undo: async () => {},
  })
  const outer = defineWorkflow<string, void>(
    'outer',
    [delegate],
    (flow, input) => flow.step(delegate, input),
    AFTER_CRASH,
  )
  engine.register(inner as never)
  engine.register(outer as never)
  return {
    engine,
    outer,
    breakUndo: () => {
      isBroken = true
    },
  }
}

/** A run that stopped in the middle of both workflows, and the run after it. */
async function afterCrash(t: TestContext) {
  const { db } = await tempDatabase(t, [workflowMigration, workflowOwnerMigration])
  const run = (incarnation: number) => createJournal(db, { nodeUuid: 'node', incarnation })
  const reached = Promise.withResolvers<void>()
  const first = family(run(1), ({ step, phase }) => {
    if (step !== 'work' || phase !== 'ran') return undefined
    reached.resolve()
    return new Promise(() => {})
  })
  const { signal } = new AbortController()
  void withTask({ id: 'job', name: 'Api', signal, progress() {} }, () => first.engine.run(first.outer, 'x'))
  await reached.promise
  return { db, ...family(run(2)) }
}

test('the last workflow of a task speaks for all, in the transaction it ends in', async (t) => {
  const { db, engine } = await afterCrash(t)
  const ends: string[] = []
  const onTaskEnd = async (tx: Tx, { name, outcome }: RecoveredWorkflow) => {
    const [row] = await tx.all('SELECT COUNT(*) AS n FROM WorkflowVO', [])
    ends.push(`${name} ${outcome}, ${row?.n} left`)
  }
  const [inner, outer, ...more] = await engine.orphans()
  assert.deepEqual([inner?.name, outer?.name, more], ['inner', 'outer', []])
  const first = await engine.takeOver(inner as never, onTaskEnd)
  assert.equal(first?.outcome, 'rolled back')
  assert.deepEqual(ends, [], 'the task goes on')
  await engine.takeOver(outer as never, onTaskEnd)
  // MariaDB may run a unit more than once.
  assert.deepEqual([...new Set(ends)], ['outer finished, 0 left'])
  assert.deepEqual(await db.all('SELECT * FROM WorkflowStepVO', []), [])
})

test('a task with a stuck workflow ends as stuck, though its last one was finished', async (t) => {
  const { engine, breakUndo } = await afterCrash(t)
  breakUndo()
  const ends = new Set<string>()
  const onTaskEnd = async (_tx: Tx, { name, outcome }: RecoveredWorkflow) =>
    void ends.add(`${name} ${outcome}`)
  for (const orphan of await engine.orphans()) await engine.takeOver(orphan, onTaskEnd)
  assert.deepEqual([...ends], ['outer stuck'])
})

test('when the end of a task cannot be written, its last workflow has not ended either', async (t) => {
  const { engine } = await afterCrash(t)
  const refuse = () => Promise.reject(new Error('disk full'))
  for (const orphan of await engine.orphans()) await engine.takeOver(orphan, refuse)
  assert.deepEqual(
    (await engine.unfinished()).map(({ name, state }) => [name, state]),
    [['outer', 'RollingBack']],
  )
  assert.deepEqual(await engine.retryStuck(), [])
})
