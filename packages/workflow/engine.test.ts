import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Database } from '#db'
import { CloudError, currentTask, defineError, silentLogger, withTask } from '#kernel'
import { tempDatabase } from '#testkit'
import { defineStep, defineWorkflow, type Flow, noUndo, type Step, type Workflow } from './define.ts'
import { createWorkflowEngine, type WorkflowEngine, type WorkflowObserver } from './engine.ts'
import { recoverAll } from './file-workflow.testing.ts'
import { createJournal, type Journal, workflowMigrations } from './journal.ts'

/** What steps did, in order, and where they fail. */
class World {
  readonly log: string[] = []
  readonly failRun = new Set<string>()
  readonly failUndo = new Set<string>()

  step<O = string>(
    name: string,
    output: (input: string) => O = ((i: string) => `${name}:${i}`) as never,
  ): Step<string, O> {
    return defineStep<string, O>({
      name,
      run: async (input) => {
        this.log.push(`run ${name} ${input}`)
        if (this.failRun.has(name)) throw new CloudError(defineError('T.1', 'test'), `${name} broke`)
        return output(input)
      },
      undo: async (input, given) => {
        this.log.push(`undo ${name} ${input} ${JSON.stringify(given)}`)
        if (this.failUndo.has(name)) throw new Error(`${name} cannot be undone`)
      },
    })
  }
}

interface Setup {
  readonly db: Database
  readonly journal: Journal
  readonly world: World
  readonly engine: (observe?: WorkflowObserver, ...workflows: Workflow<never, unknown>[]) => WorkflowEngine
}

async function setup(t: TestContext): Promise<Setup> {
  const { db } = await tempDatabase(t, workflowMigrations)
  let runs = 0
  const nextRun = () => {
    runs += 1
    return createJournal(db, { nodeUuid: 'node-1', incarnation: runs })
  }
  const journal = nextRun()
  const engine: Setup['engine'] = (observe, ...workflows) => {
    const made = createWorkflowEngine({
      journal: nextRun(),
      log: silentLogger,
      ...(observe === undefined ? {} : { observe }),
    })
    for (const workflow of workflows) made.register(workflow)
    return made
  }
  return { db, journal, world: new World(), engine }
}

const rowsLeft = async (db: Database) =>
  Number(
    (
      await db.all(
        'SELECT (SELECT COUNT(*) FROM WorkflowVO) + (SELECT COUNT(*) FROM WorkflowStepVO) AS n',
        [],
      )
    )[0]?.n,
  )

/** Three steps a, b, c, each given the output of the one before. */
function chain(world: World, afterCrash: 'rollback' | 'resume' = 'rollback'): Workflow<string, string> {
  const [a, b, c] = [world.step('a'), world.step('b'), world.step('c')]
  const body = async (flow: Flow, input: string) =>
    flow.step(c, await flow.step(b, await flow.step(a, input)))
  return defineWorkflow('chain', [a, b, c], body, { afterCrash })
}

/** Freezes the workflow at the given moment for ever, as a crash does; resolves when it is there. */
function crashAt(step: string, phase: string): { observe: WorkflowObserver; reached: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const observe: WorkflowObserver = (moment) => {
    if (moment.step !== step || moment.phase !== phase) return undefined
    resolve()
    return new Promise(() => {})
  }
  return { observe, reached: promise }
}

test('a workflow that succeeds leaves nothing behind; what onFinish wrote is there', async (t) => {
  const { db, world, engine } = await setup(t)
  await db.execute('CREATE TABLE R (v TEXT)')
  const onFinish = async (tx: { run: Database['run'] }, output: string) =>
    void (await tx.run('INSERT INTO R (v) VALUES (?)', [output]))
  assert.equal(await engine().run(chain(world), 'x', { onFinish }), 'c:b:a:x')
  assert.equal((await db.all('SELECT v FROM R', []))[0]?.v, 'c:b:a:x')
  assert.equal(await rowsLeft(db), 0)
})

test('when onFinish fails, its writes are gone and everything is taken back', async (t) => {
  const { db, world, engine } = await setup(t)
  await db.execute('CREATE TABLE R (v TEXT)')
  const onFinish = async (tx: { run: Database['run'] }) => {
    await tx.run('INSERT INTO R (v) VALUES (1)', [])
    throw new Error('no reply')
  }
  await assert.rejects(engine().run(chain(world), 'x', { onFinish }), /no reply/)
  assert.equal((await db.all('SELECT v FROM R', [])).length, 0)
  assert.equal(world.log.filter((l) => l.startsWith('undo')).length, 3)
  assert.equal(await rowsLeft(db), 0)
})

test('the failing step is undone too, without output, then the others in reverse with theirs', async (t) => {
  const { db, world, engine } = await setup(t)
  world.failRun.add('c')
  await assert.rejects(engine().run(chain(world), 'x'), {
    code: 'T.1',
    details: 'c broke (at step c of chain)',
  })
  assert.deepEqual(world.log.slice(3), ['undo c b:a:x undefined', 'undo b a:x "b:a:x"', 'undo a x "a:x"'])
  assert.equal(await rowsLeft(db), 0)
})

test('a body that throws between steps is taken back; one that throws before any step just fails', async (t) => {
  const { db, world, engine } = await setup(t)
  const a = world.step('a')
  const flow = defineWorkflow<string, void>('w', [a], async (f, input) => {
    if (input === 'early') throw new TypeError('bug')
    await f.step(a, input)
    throw new TypeError('bug')
  })
  await assert.rejects(engine().run(flow, 'early'), { code: 'SYS.1000', details: 'w failed: bug' })
  assert.deepEqual(world.log, [])
  await assert.rejects(engine().run(flow, 'late'), { code: 'SYS.1000' })
  assert.deepEqual(world.log, ['run a late', 'undo a late "a:late"'])
  assert.equal(await rowsLeft(db), 0)
})

test('an undo that fails leaves the workflow stuck and holds back those before it; a retry goes on from there', async (t) => {
  const { db, world, engine } = await setup(t)
  world.failRun.add('c')
  world.failUndo.add('b')
  const made = engine(undefined, chain(world) as never)
  const workflow = made.registered.get('chain') as never
  await assert.rejects(made.run(workflow, 'x' as never), {
    code: 'T.1',
    opaque: { step: 'c', workflow: 'chain', stuckSteps: 2 },
  })
  assert.equal(
    world.log.some((line) => line.startsWith('undo a')),
    false,
  )
  assert.equal((await made.unfinished())[0]?.state, 'Stuck')
  assert.equal((await made.retryStuck()).length, 1)
  world.failUndo.clear()
  world.log.length = 0
  assert.deepEqual(await made.retryStuck(), [])
  assert.deepEqual(world.log, ['undo b a:x "b:a:x"', 'undo a x "a:x"'])
  assert.equal(await rowsLeft(db), 0)
})

test('a stuck workflow can be abandoned; one at work or unknown cannot', async (t) => {
  const { db, world, engine } = await setup(t)
  world.failRun.add('b')
  world.failUndo.add('a')
  await assert.rejects(engine().run(chain(world), 'x'))
  const made = engine()
  const [row] = await made.unfinished()
  await made.abandon(row?.uuid ?? '')
  assert.equal(await rowsLeft(db), 0)
  await assert.rejects(made.abandon('nobody'), { code: 'SYS.1003' })
  const { observe, reached } = crashAt('a', 'ran')
  const busy = engine(observe)
  void busy.run(chain(new World()), 'x')
  await reached
  const [live] = await busy.unfinished()
  await assert.rejects(busy.abandon(live?.uuid ?? ''), { code: 'SYS.1006' })
  assert.deepEqual(await busy.retryStuck(), [], 'work in progress is not stuck')
})

test('two retries at the same time undo a step once', async (t) => {
  const { world, engine } = await setup(t)
  world.failRun.add('b')
  world.failUndo.add('a')
  const made = engine(undefined, chain(world) as never)
  await assert.rejects(made.run(made.registered.get('chain') as never, 'x' as never))
  world.failUndo.clear()
  world.log.length = 0
  await Promise.all([made.retryStuck(), made.retryStuck()])
  assert.deepEqual(world.log, ['undo a x "a:x"'])
})

test('cancel stops the next step, never the rollback, which does not even see it', async (t) => {
  const { world, engine } = await setup(t)
  const controller = new AbortController()
  const seen: (boolean | undefined)[] = []
  const a = defineStep<string, void>({
    name: 'a',
    run: async () => controller.abort(),
    undo: async (_i, _o, context) => void seen.push(context.signal.aborted, currentTask()?.signal.aborted),
  })
  const b = world.step('b')
  const flow = defineWorkflow<string, void>('w', [a, b], async (f, i) => {
    await f.step(a, i)
    await f.step(b, i)
  })
  const task = { id: 't', name: 'T', signal: controller.signal, progress() {} }
  await assert.rejects(
    withTask(task, () => engine().run(flow, 'x')),
    { code: 'SYS.1017' },
  )
  assert.deepEqual(world.log, [])
  assert.deepEqual(seen, [false, false])
})

test('steps in a loop and the same step twice are each undone with their own input', async (t) => {
  const { world, engine } = await setup(t)
  const a = world.step('a')
  const z = world.step('z')
  world.failRun.add('z')
  const flow = defineWorkflow<string, void>('w', [a, z], async (f) => {
    for (const i of ['1', '2', '3']) await f.step(a, i)
    await f.step(z, '')
  })
  await assert.rejects(engine().run(flow, 'x'))
  assert.deepEqual(world.log.slice(5), ['undo a 3 "a:3"', 'undo a 2 "a:2"', 'undo a 1 "a:1"'])
})

test('what the journal cannot keep is refused where it arises, and the step is taken back', async (t) => {
  const { db, world, engine } = await setup(t)
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const bad: Record<string, unknown> = {
    'a Date': new Date(0),
    'a bigint': 1n,
    'a function': () => 0,
    NaN: Number.NaN,
    'a Map': new Map(),
    'refers to itself': circle,
  }
  for (const [what, value] of Object.entries(bad)) {
    const giving = world.step<unknown>('giving', () => ({ list: [value] }))
    const flow = defineWorkflow<unknown, unknown>('w', [giving], (f, input) =>
      f.step(giving, input as string),
    )
    const message = new RegExp(`the output of step giving.*${what}`)
    await assert.rejects(engine().run(flow, 'x'), message)
    assert.match(world.log.at(-1) ?? '', /undo giving x/)
    await assert.rejects(
      engine().run(flow, { list: [value] }),
      new RegExp(`the input of step giving.*${what}`),
    )
  }
  const fine = world.step<unknown>('fine', () => ({ a: undefined, b: null, c: [{ d: 'x' }] }))
  await engine().run(
    defineWorkflow<string, unknown>('w', [fine], (f, i) => f.step(fine, i)),
    'x',
  )
  assert.equal(await rowsLeft(db), 0)
})

test('steps run one after the other; a step still running is waited for before the rollback', async (t) => {
  const { world, engine } = await setup(t)
  const a = world.step('a')
  const b = world.step('b')
  const both = defineWorkflow<string, unknown>('w', [a, b], (f, i) =>
    Promise.all([f.step(a, i), f.step(b, i)]),
  )
  await assert.rejects(engine().run(both, 'x'), /step b of workflow w began while a was running/)
  assert.deepEqual(world.log, ['run a x', 'undo a x "a:x"'])
  world.log.length = 0
  const forgotten = defineWorkflow<string, void>('w', [a], async (f, i) => void f.step(a, i))
  await assert.rejects(engine().run(forgotten, 'x'), /w ended while a was running/)
  assert.deepEqual(world.log, ['run a x', 'undo a x "a:x"'])
  let leaked: Flow | undefined
  await engine().run(
    defineWorkflow<string, void>('w', [a], async (f) => {
      leaked = f
    }),
    'x',
  )
  await assert.rejects(async () => leaked?.step(a, 'x'), /after the workflow had ended/)
  await assert.rejects(
    engine().run(
      defineWorkflow<string, unknown>('w', [], (f, i) => f.step(a, i)),
      'x',
    ),
    /not declared/,
  )
})

test('a step without undo is passed over', async (t) => {
  const { db, world, engine } = await setup(t)
  const a = defineStep<string, string>({ name: 'a', run: async (i) => i, undo: noUndo('computes only') })
  const b = world.step('b')
  world.failRun.add('b')
  await assert.rejects(
    engine().run(
      defineWorkflow<string, unknown>('w', [a, b], async (f, i) => f.step(b, await f.step(a, i))),
      'x',
    ),
  )
  assert.equal(await rowsLeft(db), 0)
})

test('when the journal cannot take the rollback down, nothing is undone until it can', async (t) => {
  const { db, journal, world } = await setup(t)
  let broken = true
  const rollingBack: Journal['rollingBack'] = (...args) =>
    broken ? Promise.reject(new Error('disk full')) : journal.rollingBack(...args)
  const engine = createWorkflowEngine({ journal: { ...journal, rollingBack }, log: silentLogger })
  const workflow = chain(world, 'resume')
  engine.register(workflow as never)
  world.failRun.add('b')
  await assert.rejects(engine.run(workflow, 'x'), {
    code: 'T.1',
    opaque: { step: 'b', workflow: 'chain', stuckSteps: 2 },
  })
  assert.ok(!world.log.some((line) => line.startsWith('undo')))
  broken = false
  assert.deepEqual(await engine.retryStuck(), [])
  assert.deepEqual(world.log.slice(2), ['undo b a:x undefined', 'undo a x "a:x"'])
  assert.equal(await rowsLeft(db), 0)
})

test('when the journal cannot take an undo down, the others still run and it is done again later', async (t) => {
  const { db, journal, world } = await setup(t)
  let broken = true
  const refuse = () => Promise.reject(new Error('disk full'))
  const patched: Journal = {
    ...journal,
    undone: (...args) => (broken ? refuse() : journal.undone(...args)),
    stuck: (...args) => (broken ? refuse() : journal.stuck(...args)),
  }
  const engine = createWorkflowEngine({ journal: patched, log: silentLogger })
  engine.register(chain(world) as never)
  world.failRun.add('c')
  await assert.rejects(engine.run(engine.registered.get('chain') as never, 'x' as never), {
    opaque: { step: 'c', workflow: 'chain', stuckSteps: 3 },
  })
  assert.equal(world.log.filter((line) => line.startsWith('undo')).length, 3)
  broken = false
  assert.deepEqual(await engine.retryStuck(), [])
  assert.equal(await rowsLeft(db), 0)
})

for (const step of ['a', 'b', 'c'])
  for (const phase of ['journalled', 'ran'])
    test(`crash when ${step} is ${phase}: another process rolls back what was begun, outputs at hand`, async (t) => {
      const { db, world, engine } = await setup(t)
      const { observe, reached } = crashAt(step, phase)
      void engine(observe).run(chain(world), 'x')
      await reached
      world.log.length = 0
      const [recovered] = await recoverAll(engine(undefined, chain(world) as never))
      assert.deepEqual([recovered?.name, recovered?.outcome], ['chain', 'rolled back'])
      const all = ['undo c b:a:x undefined', 'undo b a:x "b:a:x"', 'undo a x "a:x"']
      const expected = all
        .slice('cba'.indexOf(step))
        .map((l, i) => (i === 0 ? l.replace(/ \S+$/, ' undefined') : l))
      assert.deepEqual(world.log, expected)
      assert.equal(await rowsLeft(db), 0)
    })

for (const step of ['a', 'b', 'c'])
  for (const phase of ['journalled', 'ran'])
    test(`crash when ${step} is ${phase}: a resumed workflow repeats the cut step only and goes on`, async (t) => {
      const { db, world, engine } = await setup(t)
      const { observe, reached } = crashAt(step, phase)
      void engine(observe).run(chain(world, 'resume'), 'x')
      await reached
      world.log.length = 0
      const [recovered] = await recoverAll(engine(undefined, chain(world, 'resume') as never))
      assert.equal(recovered?.outcome, 'finished')
      const all = ['run a x', 'run b a:x', 'run c b:a:x']
      assert.deepEqual(world.log, all.slice('abc'.indexOf(step)))
      assert.equal(await rowsLeft(db), 0)
    })

test('a crash during rollback goes on with what is left, with the first error', async (t) => {
  const { db, world, engine } = await setup(t)
  world.failRun.add('c')
  const { observe, reached } = crashAt('b', 'undone')
  void engine(observe).run(chain(world, 'resume'), 'x')
  await reached
  world.log.length = 0
  const [recovered] = await recoverAll(engine(undefined, chain(world, 'resume') as never))
  assert.equal(recovered?.outcome, 'rolled back')
  assert.equal(recovered?.error?.details, 'c broke (at step c of chain)')
  assert.deepEqual(world.log, ['undo b a:x "b:a:x"', 'undo a x "a:x"'])
  assert.equal(await rowsLeft(db), 0)
})

test('a resumed body that fails early takes back what it had not come by, too', async (t) => {
  const { db, world, engine } = await setup(t)
  const { observe, reached } = crashAt('c', 'ran')
  void engine(observe).run(chain(world, 'resume'), 'x')
  await reached
  world.log.length = 0
  const [a, b, c] = [world.step('a'), world.step('b'), world.step('c')]
  const steps = [a, b, c]
  const body = (flow: Flow) => flow.step(b, 'other')
  const changed = defineWorkflow('chain', steps, body, { afterCrash: 'resume' })
  const [recovered] = await recoverAll(engine(undefined, changed as never))
  assert.equal(recovered?.outcome, 'rolled back')
  assert.match(recovered?.error?.details ?? '', /came to b when resumed, but had begun a/)
  assert.deepEqual(world.log, ['undo c b:a:x undefined', 'undo b a:x "b:a:x"', 'undo a x "a:x"'])
  assert.equal(await rowsLeft(db), 0)
})

test('a resumed step runs with the input that was journalled, which is what could be taken back', async (t) => {
  const { world, engine } = await setup(t)
  const a = world.step('a')
  let tick = 0
  const next = () => {
    tick += 1
    return String(tick)
  }
  const make = () =>
    defineWorkflow<string, unknown>('w', [a], (f) => f.step(a, next()), { afterCrash: 'resume' })
  const { observe, reached } = crashAt('a', 'ran')
  void engine(observe).run(make(), 'x')
  await reached
  await recoverAll(engine(undefined, make() as never))
  assert.deepEqual(world.log, ['run a 1', 'run a 1'])
})

test('a workflow or a step that the program no longer has is left stuck, and taken back when it returns', async (t) => {
  const { db, world, engine } = await setup(t)
  const { observe, reached } = crashAt('b', 'ran')
  void engine(observe).run(chain(world), 'x')
  await reached
  world.log.length = 0
  const [lost] = await recoverAll(engine())
  assert.equal(lost?.outcome, 'stuck')
  assert.match(lost?.error?.details ?? '', /no plugin knows the workflow chain/)
  const a = world.step('a')
  const shorter = defineWorkflow<string, unknown>('chain', [a], (f, i) => f.step(a, i))
  const second = engine(undefined, shorter as never)
  assert.deepEqual(await recoverAll(second), [], 'what is stuck is only made its own')
  assert.equal((await second.retryStuck()).length, 1)
  assert.deepEqual(world.log, [])
  const third = engine(undefined, chain(world) as never)
  assert.deepEqual(await third.retryStuck(), [], 'what was not taken over is not touched')
  assert.deepEqual(world.log, [])
  await recoverAll(third)
  assert.deepEqual(await third.retryStuck(), [])
  assert.deepEqual(world.log, ['undo b a:x undefined', 'undo a x "a:x"'])
  assert.equal(await rowsLeft(db), 0)
})

test('what a workflow started is recovered before the workflow itself, and only by its own node', async (t) => {
  const { db, world, engine } = await setup(t)
  const inner = world.step('inner')
  const child = defineWorkflow<string, unknown>('child', [inner], (f, i) => f.step(inner, i))
  const crash = crashAt('inner', 'ran')
  const first = engine(crash.observe)
  const outer = defineStep<string, unknown>({
    name: 'outer',
    run: (i) => first.run(child, i),
    undo: async () => void world.log.push('undo outer'),
  })
  const parent = defineWorkflow<string, unknown>('parent', [outer], (f, i) => f.step(outer, i))
  void first.run(parent, 'x')
  await crash.reached
  world.log.length = 0
  const other = createJournal(db, { nodeUuid: 'node-2', incarnation: 1 })
  const stranger = createWorkflowEngine({ journal: other, log: silentLogger, isAlive: () => true })
  assert.deepEqual(await stranger.orphans(), [])
  await recoverAll(engine(undefined, parent as never, child as never))
  assert.deepEqual(world.log, ['undo inner x undefined', 'undo outer'])
})

test('run and undo may be repeated by the observer', async (t) => {
  const { world, engine } = await setup(t)
  world.failRun.add('b')
  const twice = engine((moment) => (moment.phase === 'journalled' ? undefined : Promise.resolve('repeat')))
  await assert.rejects(twice.run(chain(world), 'x'))
  assert.deepEqual(
    world.log.filter((l) => l.includes(' a ')),
    ['run a x', 'run a x', 'undo a x "a:x"', 'undo a x "a:x"'],
  )
})
