import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Tx } from '#db'
import { silentLogger, withTask } from '#kernel'
import { tempDatabase } from '#testkit'
import { defineStep, defineWorkflow, type Flow, type Workflow } from './define.ts'
import {
  createWorkflowEngine,
  type RunOptions,
  type WorkflowEngine,
  type WorkflowObserver,
} from './engine.ts'
import { createJournal, workflowMigrations } from './journal.ts'
import type { RecoveredWorkflow } from './recovery.ts'

interface Family {
  readonly engine: WorkflowEngine
  readonly outer: Workflow<string, string>
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
  const body = async (flow: Flow, input: string) => {
    await flow.step(delegate, input)
    return `${input} is done`
  }
  const outer = defineWorkflow('outer', [delegate], body, { afterCrash: 'resume' })
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

/** A run that stopped in the middle of both workflows, and the run after it. `options` are those of the outer one. */
async function afterCrash(t: TestContext, options?: RunOptions<string>) {
  const { db } = await tempDatabase(t, workflowMigrations)
  const run = (incarnation: number) => createJournal(db, { nodeUuid: 'node', incarnation })
  const reached = Promise.withResolvers<void>()
  const first = family(run(1), ({ step, phase }) => {
    if (step !== 'work' || phase !== 'ran') return undefined
    reached.resolve()
    return new Promise(() => {})
  })
  const { signal } = new AbortController()
  void withTask({ id: 'job', name: 'Api', signal, progress() {} }, () =>
    first.engine.run(first.outer, 'x', options),
  )
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
  const { engine, breakUndo } = await afterCrash(t, { onFinish: async () => {} })
  breakUndo()
  const ends = new Set<string>()
  const onTaskEnd = async (_tx: Tx, { name, outcome, answer }: RecoveredWorkflow) =>
    void ends.add(`${name} ${outcome}, ${answer}`)
  for (const orphan of await engine.orphans()) await engine.takeOver(orphan, onTaskEnd)
  assert.deepEqual([...ends], ['outer stuck, undefined'])
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

test('a call is answered with what its workflow returned when another run finished it, and with that alone', async (t) => {
  const answers = async (options?: RunOptions<string>) => {
    const { engine } = await afterCrash(t, options)
    const found = new Set<unknown>()
    const onTaskEnd = async (_tx: Tx, { answer }: RecoveredWorkflow) => void found.add(answer)
    for (const orphan of await engine.orphans()) await engine.takeOver(orphan, onTaskEnd)
    return [...found]
  }
  assert.deepEqual(await answers({ onFinish: async () => {} }), ['x is done'])
  assert.deepEqual(await answers(), [undefined], 'its call does more than the workflow')
})
