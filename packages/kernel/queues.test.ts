import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeyedQueues, Limiter } from './queues.ts'
import { currentTask, type Task, withTask } from './task.ts'

/** Lets everything that is ready run. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function gate(): { promise: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, open: resolve }
}

test('work on one key runs in arrival order and never overlaps; other keys do not wait', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), turns: fc.nat(4), fails: fc.boolean() }), {
        maxLength: 30,
      }),
      async (jobs) => {
        const queues = new KeyedQueues()
        const running = new Map<string, number>()
        const started: Record<string, number[]> = {}
        const results = jobs.map(({ key, turns, fails }, i) =>
          queues.run(key, `job ${i}`, async () => {
            assert.equal(running.get(key) ?? 0, 0, 'two pieces of work on one key overlap')
            running.set(key, 1)
            started[key] = [...(started[key] ?? []), i]
            for (let t = 0; t < turns; t += 1) await Promise.resolve()
            running.set(key, 0)
            if (fails) throw new Error(`job ${i}`)
            return i
          }),
        )
        const settled = await Promise.allSettled(results)
        for (const [i, job] of jobs.entries())
          assert.equal(settled[i]?.status, job.fails ? 'rejected' : 'fulfilled')
        for (const order of Object.values(started))
          assert.deepEqual(
            order,
            order.toSorted((x, y) => x - y),
          )
        await Promise.resolve()
        assert.deepEqual(queues.entries(), [])
      },
    ),
  )
})

test('work that throws synchronously rejects its caller and lets the next run', async () => {
  const queues = new KeyedQueues()
  const failing = queues.run('k', 'bad', () => {
    throw new Error('at once')
  })
  const next = queues.run('k', 'good', async () => 7)
  await assert.rejects(failing, /at once/)
  assert.equal(await next, 7)
})

test('a different key runs while the first is held, and entries tell who runs and who waits', async () => {
  const queues = new KeyedQueues()
  const held = gate()
  const first = queues.run('a', 'first', () => held.promise)
  const second = queues.run('a', 'second', async () => {})
  await queues.run('b', 'other', async () => {})
  const shown = queues.entries().map(({ key, label, running }) => ({ key, label, running }))
  assert.deepEqual(shown, [
    { key: 'a', label: 'first', running: true },
    { key: 'a', label: 'second', running: false },
  ])
  held.open()
  await Promise.all([first, second])
})

test('waiting work can be cancelled; running work and its followers are left alone', async () => {
  const queues = new KeyedQueues()
  const held = gate()
  const controller = new AbortController()
  const ran: string[] = []
  const note = (name: string) => async () => void ran.push(name)
  const first = queues.run('k', 'first', () => held.promise, controller.signal)
  const second = queues.run('k', 'second', note('second'), controller.signal)
  const third = queues.run('k', 'third', note('third'))
  controller.abort()
  await assert.rejects(second, { code: 'SYS.1017', details: 'second was cancelled while it waited for k' })
  held.open()
  await Promise.all([first, third])
  assert.deepEqual(ran, ['third'])
})

test('work whose signal fired before it was queued never runs, on a free key and on a busy one', async () => {
  const queues = new KeyedQueues()
  const held = gate()
  const mustNotRun = async () => assert.fail('cancelled work ran')
  await assert.rejects(queues.run('k', 'late', mustNotRun, AbortSignal.abort()), { code: 'SYS.1017' })
  const first = queues.run('k', 'first', () => held.promise)
  await assert.rejects(queues.run('k', 'late', mustNotRun, AbortSignal.abort()), { code: 'SYS.1017' })
  held.open()
  await first
})

test('a signal that outlives the work keeps no listeners', async () => {
  const queues = new KeyedQueues()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  await Promise.all(Array.from({ length: 20 }, () => queues.run('k', 'work', async () => {}, signal)))
  assert.equal(listeners, 0)
})

test('the limiter never exceeds its limit, starts in arrival order and loses nobody', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.nat(5), { maxLength: 40 }),
      async (limit, jobs) => {
        const limiter = new Limiter(() => limit)
        const started: number[] = []
        let running = 0
        const all = jobs.map((turns, i) =>
          limiter.run(async () => {
            running += 1
            assert.ok(running <= limit)
            started.push(i)
            for (let t = 0; t < turns; t += 1) await Promise.resolve()
            running -= 1
            if (turns === 3) throw new Error('fails')
          }),
        )
        await Promise.allSettled(all)
        assert.deepEqual(
          started,
          jobs.map((_, i) => i),
        )
        assert.deepEqual([limiter.running, limiter.waiting], [0, 0])
      },
    ),
  )
})

test('work that arrives when a slot is handed over does not jump the queue', async () => {
  const limiter = new Limiter(() => 1)
  const held = gate()
  const order: string[] = []
  const late: Promise<void>[] = []
  const first = limiter.run(() => held.promise)
  const waiting = limiter.run(async () => void order.push('waiting'))
  void first.then(() => late.push(limiter.run(async () => void order.push('late'))))
  held.open()
  await first
  await waiting
  await Promise.all(late)
  assert.deepEqual(order, ['waiting', 'late'])
})

test('a grown limit is taken up at the next end, at the next arrival, and by admit()', async () => {
  for (const poke of ['end', 'arrival', 'admit'] as const) {
    let limit = 1
    const limiter = new Limiter(() => limit)
    const held = gate()
    const short = gate()
    const work = [
      limiter.run(() => short.promise),
      ...Array.from({ length: 4 }, () => limiter.run(() => held.promise)),
    ]
    assert.equal(limiter.running, 1)
    limit = 4
    if (poke === 'admit') limiter.admit()
    if (poke === 'arrival') work.push(limiter.run(async () => {}))
    if (poke === 'end') {
      short.open()
      await work[0]
    }
    assert.equal(limiter.running, 4, poke)
    short.open()
    held.open()
    await Promise.all(work)
  }
})

test('a limit of nothing holds everything until it grows', async () => {
  let limit = 0
  const limiter = new Limiter(() => limit)
  const work = limiter.run(async () => 'ran')
  assert.equal(limiter.waiting, 1)
  limit = 1
  limiter.admit()
  assert.equal(await work, 'ran')
})

test('work that waits for its own queue is told so instead of hanging, at any depth and across awaits', async () => {
  const queues = new KeyedQueues()
  const inner = () => queues.run('a', 'inner', async () => 1)
  const nested = queues.run('a', 'outer', async () => {
    await turn()
    return queues.run('b', 'between', inner)
  })
  const message = 'inner waits for the queue a, in which outer waits for it: neither would ever end'
  await assert.rejects(nested, { name: 'Error', message })
  assert.deepEqual(queues.entries(), [])
  // Other instances and other keys are other queues.
  const others = new KeyedQueues()
  assert.equal(
    await queues.run('a', 'x', () => others.run('a', 'y', () => queues.run('b', 'z', async () => 2))),
    2,
  )
})

test('what ended work left behind may use its queue again, and so may work that waits beside it', async () => {
  const queues = new KeyedQueues()
  const { promise: later, resolve: go } = Promise.withResolvers<void>()
  let left: Promise<string> | undefined
  await queues.run('a', 'first', async () => {
    left = later.then(() => queues.run('a', 'left behind', async () => 'ran'))
  })
  go()
  assert.equal(await left, 'ran')
})

test('work that waited runs for the task of its own caller, not for that of the work before it', async () => {
  const queues = new KeyedQueues()
  const task = (id: string): Task => ({
    id,
    name: id,
    signal: new AbortController().signal,
    progress: () => {},
  })
  const seen: (string | undefined)[] = []
  const look = async () => {
    seen.push(currentTask()?.id)
    await turn()
  }
  const runs = ['a', 'b'].map((id) => withTask(task(id), () => queues.run('k', id, look)))
  runs.push(queues.run('k', 'nobody', look))
  await Promise.all(runs)
  assert.deepEqual(seen, ['a', 'b', undefined])
})
