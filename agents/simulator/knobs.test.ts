import assert from 'node:assert/strict'
import { it } from 'node:test'
import { hostPing, listVms } from '#agents/kvm-host/contract/host.ts'
import { startVm, stopVm, vmInfo } from '#agents/kvm-host/contract/vm.ts'
import { CloudError, sysErrors } from '#kernel'
import { createReadyHost, createSmallWorld, uuidOf, vmSpec } from './small-world.ts'

async function readyHost() {
  const host = await createReadyHost(await createSmallWorld())
  await host.createVolume(1)
  const start = () => host.client.call(startVm, { vm: vmSpec(1) })
  const vmState = () => host.state.vms.get(uuidOf(1))?.state
  return { ...host, start, vmState }
}

/** True once `promise` has settled; gives everything that is ready a chance to run first. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const answered = promise.then(
    () => true,
    () => true,
  )
  return Promise.race([answered, new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))])
}

it('failNext fails one call before its effect', async () => {
  const { knobs, start, vmState } = await readyHost()
  knobs.failNext('startVm', 'qemu is out of order')
  await assert.rejects(start(), { code: 'SYS.1006', details: 'qemu is out of order' })
  assert.equal(vmState(), undefined)
  assert.deepEqual(await start(), { state: 'Running' })
})

it('failNext queues: each call takes one failure', async () => {
  const { knobs, start } = await readyHost()
  knobs.failNext('startVm', 'first')
  knobs.failNext('startVm', 'second')
  await assert.rejects(start(), { details: 'first' })
  await assert.rejects(start(), { details: 'second' })
  await start()
})

it('failNext after the effect loses the answer only', async () => {
  const { knobs, start, vmState } = await readyHost()
  knobs.failNext('startVm', 'the line went dead', { after: true })
  await assert.rejects(start(), { code: 'SYS.1016', details: 'the line went dead' })
  assert.equal(vmState(), 'Running')
  assert.deepEqual(await start(), { state: 'Running' })
})

it('a failure after the effect does not hide a failure of the call itself', async () => {
  const { knobs, client } = await readyHost()
  knobs.failNext('startVm', 'the line went dead', { after: true })
  await assert.rejects(client.call(startVm, { vm: vmSpec(9) }), /no such file/)
})

it('failures can be any error', async () => {
  const { knobs, start } = await readyHost()
  knobs.failNext('startVm', new CloudError(sysErrors.timeout, 'too slow'))
  await assert.rejects(start(), { code: 'SYS.1001' })
})

it('failAlways fails until cleared, also for every call', async () => {
  const { knobs, client, start } = await readyHost()
  knobs.failAlways('startVm', 'no')
  await assert.rejects(start(), { details: 'no' })
  await assert.rejects(start(), { details: 'no' })
  await client.call(hostPing, {})
  knobs.clear('startVm')
  await start()
  knobs.failAlways('*', 'nothing goes')
  await assert.rejects(client.call(hostPing, {}), { details: 'nothing goes' })
  knobs.clear()
  await client.call(hostPing, {})
})

it('hold stops calls before their effect until released', async () => {
  const { knobs, client, start, vmState } = await readyHost()
  const held = knobs.hold('startVm')
  assert.equal(await settled(held.waiting), false)
  const starting = start()
  await held.waiting
  assert.equal(vmState(), undefined)
  assert.equal(await settled(starting), false)
  await client.call(hostPing, {})
  held.release()
  assert.deepEqual(await starting, { state: 'Running' })
  await client.call(stopVm, { vmUuid: uuidOf(1), graceMs: 0 })
  await start()
})

it('hold after the effect stops the answer', async () => {
  const { knobs, start, vmState } = await readyHost()
  const held = knobs.hold('startVm', { after: true })
  const starting = start()
  await held.waiting
  assert.equal(vmState(), 'Running')
  assert.equal(await settled(starting), false)
  held.release()
  await starting
})

it('clear releases what is held', async () => {
  const { knobs, start } = await readyHost()
  const held = knobs.hold('startVm')
  const starting = start()
  await held.waiting
  knobs.clear()
  await starting
})

it('latency delays the effect, by real time', async () => {
  const { knobs, start, vmState } = await readyHost()
  knobs.latencyMs('startVm', 30)
  const startedAtMs = performance.now()
  const starting = start()
  assert.equal(await settled(starting), false)
  assert.equal(vmState(), undefined)
  await starting
  assert.ok(performance.now() - startedAtMs >= 29)
})

it('counts every call, and keeps inputs only when told to', async () => {
  const { knobs, client, start } = await readyHost()
  knobs.failNext('startVm', 'no')
  await assert.rejects(start())
  assert.equal(knobs.count('startVm'), 1)
  assert.deepEqual(knobs.calls(), [])
  knobs.recordCalls(true)
  await start()
  await client.call(listVms, {}, { callId: 'c', taskId: 't' })
  assert.equal(knobs.count('startVm'), 2)
  assert.deepEqual(knobs.calls('listVms'), [{ name: 'listVms', input: {}, callId: 'c', taskId: 't' }])
  assert.deepEqual(knobs.calls('startVm')[0]?.input, { vm: vmSpec(1) })
  knobs.recordCalls(false)
  assert.deepEqual(knobs.calls(), [])
})

it('keeps a bounded number of calls', async () => {
  const { knobs, client } = await readyHost()
  knobs.recordCalls(true)
  for (let i = 0; i < 20_500; i += 1) await client.call(hostPing, {}, { callId: String(i) })
  const kept = knobs.calls()
  assert.ok(kept.length >= 10_000 && kept.length < 20_000, `${kept.length} kept`)
  assert.equal(kept.at(-1)?.callId, '20499')
})

it('freeze answers nothing until thawed, and serves late then', async () => {
  const { knobs, start, vmState } = await readyHost()
  knobs.freeze()
  const starting = start()
  assert.equal(await settled(starting), false)
  assert.equal(vmState(), undefined)
  knobs.thaw()
  assert.deepEqual(await starting, { state: 'Running' })
})

it('freezing while a call is inside holds its answer', async () => {
  const { knobs, start } = await readyHost()
  const held = knobs.hold('startVm', { after: true })
  const starting = start()
  await held.waiting
  knobs.freeze()
  held.release()
  assert.equal(await settled(starting), false)
  knobs.thaw()
  await starting
})

it('crash loses what is volatile and keeps files; the next start is another boot', async () => {
  const { knobs, client, state, vmState, start } = await readyHost()
  await start()
  const before = await client.call(hostPing, {})
  knobs.crash()
  await assert.rejects(client.call(hostPing, {}), { code: 'SYS.1016' })
  knobs.start()
  assert.equal(vmState(), undefined)
  assert.equal(state.usedMemoryBytes, 0)
  assert.deepEqual(await client.call(listVms, {}), { vms: [] })
  assert.notEqual((await client.call(hostPing, {})).bootId, before.bootId)
  // The bridge went with the boot, the volume did not.
  await assert.rejects(start(), /needs bridge br_eth0/)
  await client.call(startVm, { vm: vmSpec(1, { nics: [] }) })
})

it('crash rejects calls that are held, delayed or frozen', async () => {
  const { knobs, client, start } = await readyHost()
  const held = knobs.hold('startVm')
  knobs.latencyMs('stopVm', 600_000)
  const heldCall = start()
  const delayedCall = client.call(stopVm, { vmUuid: uuidOf(1), graceMs: 0 })
  await held.waiting
  knobs.freeze()
  const frozenCall = client.call(vmInfo, { vmUuid: uuidOf(1) })
  knobs.crash()
  for (const call of [heldCall, delayedCall, frozenCall]) await assert.rejects(call, { code: 'SYS.1016' })
  knobs.clear()
})
