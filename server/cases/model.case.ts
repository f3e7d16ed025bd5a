import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { CloudError } from '#kernel'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { queryPrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { queryVolume } from '#plugins/volume/contract/apis.ts'
import { type Arrangement, arrange, audit, buildDataCenter, type TestCloud, withCopy } from '#testkit'
import { type Ground, type Numbers, type Plan, vmPlans } from './model/actions.ts'
import { expectedLines, type Model, vmShape } from './model/reference.ts'
import { volumePlans } from './model/volume-actions.ts'

/**
 * Random calls against the cloud and against a small model of it: each must do, or refuse by the same code, what the model says,
 * and afterwards queries must show what the model has. A failing sequence is shrunk to the shortest that still fails.
 *
 * ZSTACK_MODEL_SEED and ZSTACK_MODEL_PATH  (both printed with a failure) replay it and shrink on,
 * ZSTACK_MODEL_SECONDS sets how long to look and shrink.
 */
// The same in every run, so that a change and not chance decides; `random` looks elsewhere.
const wanted = process.env.ZSTACK_MODEL_SEED ?? '1'
const seed = wanted === 'random' ? (Date.now() ^ (process.pid << 8)) & 0x7f_ff_ff_ff : Number(wanted)
const path = process.env.ZSTACK_MODEL_PATH
const seconds = Number(process.env.ZSTACK_MODEL_SECONDS ?? 30)
const longest = 50
const vmsPerHost = 3
const addresses = 7
const plans: Readonly<Record<string, Plan>> = { ...vmPlans, ...volumePlans }

const counts = { sequences: 0, calls: 0, refusals: 0 }

/** A sequence as data, so that it can be shrunk and printed. */
const sequences = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('create') },
      { weight: 1, arbitrary: fc.constantFrom('restart') },
      { weight: 40, arbitrary: fc.constantFrom(...Object.keys(plans)) },
    ),
    fc.tuple(fc.nat(41), fc.nat(41), fc.nat(41), fc.nat(41)),
  ),
  { minLength: 1, maxLength: longest, size: 'max' },
)

test('the cloud does what a model of it says, whatever it is asked in whatever order', async (t) => {
  const base = await arrange(undefined, (cloud) => prepare(cloud))
  t.after(() => base.dispose())
  t.diagnostic(`seed ${seed}`)
  // A run that is cut off at the end of the time goes on behind its back.
  let running: Promise<unknown> = Promise.resolve()
  const property = fc.asyncProperty(sequences, async (steps) => {
    const work = withCopy(base, {}, (cloud) => runSequence(cloud, base, steps))
    running = work.catch(() => 'told by the property')
    await work
  })
  const limit = { interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false, numRuns: 100_000 }
  try {
    await fc.assert(property, { seed, ...limit, ...(path === undefined ? {} : { path }) })
  } finally {
    await running
    const { sequences: ran, calls, refusals } = counts
    t.diagnostic(`${ran} sequences, ${calls} calls, ${refusals} of them refused as expected`)
  }
})

async function prepare(cloud: TestCloud) {
  const size = { hosts: 2, hostCpus: 1, hostMemoryBytes: vmsPerHost * vmShape.memoryBytes }
  // One more: the network's DHCP server takes one, too.
  const range = { startIp: '10.99.0.10', endIp: `10.99.0.${10 + addresses}` }
  const { hosts, ...ground } = await buildDataCenter(cloud, { ...size, ...range })
  return { ...ground, host0: hosts[0] ?? '', host1: hosts[1] ?? '' }
}

type Steps = readonly (readonly [name: string, numbers: Numbers])[]

async function runSequence(cloud: TestCloud, { place }: Arrangement, steps: Steps): Promise<void> {
  const hosts = [place.host0 ?? '', place.host1 ?? '']
  const model: Model = { vms: [], volumes: [], hosts, vmsPerHost, addresses, caches: new Set() }
  counts.sequences += 1
  const told: string[] = []
  for (const [name, numbers] of steps) {
    const plan = plans[name]
    if (plan === undefined) {
      await cloud.restart()
      await cloud.settled()
      told.push(name)
    } else told.push(await runStep(cloud, model, place as unknown as Ground, plan, numbers))
    const story = `after ${told.join('; ')}`
    assert.deepEqual(await shownLines(cloud, model), expectedLines(model), story)
  }
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [], `after ${told.join('; ')}`)
}

/** Makes the call and compares what came of it; gives the call in words. */
async function runStep(cloud: TestCloud, model: Model, ground: Ground, plan: Plan, numbers: Numbers) {
  const { api, input, expected } = plan(model, ground, numbers)
  counts.calls += 1
  const words = `${api.name} ${JSON.stringify(input)}`
  const answer = await cloud.call(api, input as never).then(
    (reply) => ({ reply }),
    (error: unknown) => ({ error }),
  )
  if ('error' in answer) {
    const { error } = answer
    if (!(error instanceof CloudError)) throw new Error(`${words} failed by a bug`, { cause: error })
    const wanted = 'refused' in expected ? expected.refused : 'done'
    assert.equal(error.code, wanted, `${words} was refused: ${error.details}`)
    counts.refusals += 1
    return `${words} (${error.code})`
  }
  assert.ok('learn' in expected, `${words} was done; expected ${JSON.stringify(expected)}`)
  const { inventory = {} } = answer.reply as { inventory?: Record<string, unknown> }
  const problem = expected.learn(inventory)
  assert.equal(problem, undefined, `${words}: ${problem}`)
  return words
}

/** What queries show, in the form of `expectedLines`. */
async function shownLines(cloud: TestCloud, model: Model): Promise<string[]> {
  const [vms, volumes, hosts, storages] = await Promise.all(
    [queryVmInstance, queryVolume, queryHost, queryPrimaryStorage].map((api) => cloud.query(api)),
  )
  const lines: string[] = []
  for (const vm of vms ?? []) {
    const [nic] = vm.vmNics as { ip: string }[]
    lines.push(`VM ${vm.uuid} ${vm.state} on ${vm.hostUuid ?? 'no host'} has ${nic?.ip}`)
  }
  for (const { uuid, type, status, size, vmInstanceUuid } of volumes ?? [])
    lines.push(`volume ${uuid} ${type} ${status} ${size} of ${vmInstanceUuid}`)
  for (const { uuid, availableMemoryCapacity: memory, availableCpuCapacity: cpus } of hosts ?? []) {
    const more = 10 * 1 - model.vmsPerHost * vmShape.cpuNum
    lines.push(`host ${uuid} has ${memory} bytes and ${Number(cpus) - more} CPUs free`)
  }
  for (const { totalCapacity, availableCapacity } of storages ?? [])
    lines.push(`the storage has promised ${Number(totalCapacity) - Number(availableCapacity)} bytes`)
  return lines.sort()
}
