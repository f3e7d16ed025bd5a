import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { CallContext } from '#agent-rpc'
import { createSimulatedWorld } from '#agents/simulator/world.ts'
import { CloudError } from '#kernel'
import { tempDir, waitFor } from '#testkit'
import { WorldLink } from './world-link.ts'
import { connectWorld, openWorldDoor } from './world-socket.ts'

const address = '10.0.0.1'
const facts = { cpuNum: 4, totalMemoryBytes: 2 ** 30 }

function contextAt(epoch: number): CallContext {
  const { signal } = new AbortController()
  return { callId: 'c', taskId: undefined, epoch, signal, progress() {} }
}

/** A world with one host and the ways of two management nodes to it. */
async function startWorld(t: TestContext) {
  const dir = tempDir(t)
  const world = createSimulatedWorld()
  const enter = async (name: string) => {
    const path = join(dir, name)
    const link = new WorldLink(50)
    const door = await openWorldDoor(world, path, link)
    t.after(() => door.dispose())
    const agents = connectWorld(path)
    t.after(() => agents.disconnect())
    const host = agents.host(address, facts)
    const ping = (epoch = 0) => host.handlers.hostFacts({}, contextAt(epoch))
    await waitFor(`${name} reaches its host`, () => ping(), { intervalMs: 2 })
    return { link, path, host, ping, close: async () => void door.dispose() }
  }
  return { world, enter }
}

const ioError = (error: unknown) => error instanceof CloudError && error.code === 'SYS.1016'

test('several processes share a world, which obeys the highest epoch it has seen', async (t) => {
  const { world, enter } = await startWorld(t)
  const [a, b] = [await enter('a'), await enter('b')]
  await a.host.handlers.initStorage({ root: '/ps', storageUuid: 's' }, contextAt(1))
  assert.deepEqual(world.hosts.get(address)?.state.files.roots, ['/ps'])
  await b.ping(2)
  await assert.rejects(a.ping(1), /CLUSTER\.1001/)
  await a.ping(2)
})

test('what is sent over a cut fails, and may arrive when it is healed', async (t) => {
  const { world, enter } = await startWorld(t)
  const [a, b] = [await enter('a'), await enter('b')]
  const down: string[] = []
  a.host.subscribe(
    () => {},
    (reason) => down.push(reason),
  )
  a.link.cut([address])
  await assert.rejects(
    a.host.handlers.initStorage({ root: '/late', storageUuid: 's' }, contextAt(1)),
    ioError,
  )
  await waitFor('the follower is told', () => down.length === 1)
  await b.ping(1)
  assert.deepEqual(world.hosts.get(address)?.state.files.roots, [])
  a.link.heal(() => true)
  await waitFor('the late call arrives', () => world.hosts.get(address)?.state.files.roots.length === 1)
  a.link.cut()
  await assert.rejects(
    a.host.handlers.initStorage({ root: '/never', storageUuid: 's' }, contextAt(1)),
    ioError,
  )
  a.link.heal(() => false)
  await a.ping(1)
  assert.deepEqual(world.hosts.get(address)?.state.files.roots, ['/late'])
})

test('an answer that is under way when the cut comes is lost, its effect is not', async (t) => {
  const { world, enter } = await startWorld(t)
  const a = await enter('a')
  const hold = world.hosts.get(address)?.knobs.hold('initStorage', { after: true })
  const call = a.host.handlers.initStorage({ root: '/ps', storageUuid: 's' }, contextAt(0))
  const rejected = assert.rejects(call, ioError)
  await hold?.waiting
  a.link.cut()
  hold?.release()
  await rejected
  assert.deepEqual(world.hosts.get(address)?.state.files.roots, ['/ps'])
})

test('the connection comes back by itself, and calls meanwhile fail', async (t) => {
  const { world, enter } = await startWorld(t)
  const a = await enter('a')
  await a.close()
  await assert.rejects(a.ping(), ioError)
  const door = await openWorldDoor(world, a.path, a.link)
  t.after(() => door.dispose())
  await waitFor('the host is reached again', () => a.ping(), { intervalMs: 5 })
})

test('a late call does not bring back a host that was removed', async (t) => {
  const { world, enter } = await startWorld(t)
  const a = await enter('a')
  world.hosts.delete(address)
  await assert.rejects(a.host.handlers.hostPing({}, contextAt(0)), /there is no agent at/)
  assert.equal(world.hosts.size, 0)
})
