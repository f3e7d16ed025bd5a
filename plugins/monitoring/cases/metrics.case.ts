import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { defineMessage } from '#contract'
import { waitFor } from '#kernel'
import { definePlugin } from '#plugin-host'
import { createVm, startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { rebootVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { startStuckCloud } from '#plugins/workflow/cases/stuck-scene.ts'
import { allPlugins } from '#server/plugins.ts'
import { createTestCloud, createTestCluster } from '#testkit'
import { metricSource } from '../contract/extensions.ts'
import { serveCloud } from './serve-cloud.ts'

/** Values by name and labels, as Prometheus reads them. Throws on a line that is none. */
async function scrape(url: string): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const values = new Map<string, number>()
  for (const line of (await response.text()).split('\n')) {
    if (line === '' || line.startsWith('# HELP ') || line.startsWith('# TYPE ')) continue
    const match = /^(zstack_[a-z_]+(?:\{[^{}]*\})?) (\S+)$/.exec(line)
    assert.ok(match?.[1] !== undefined && Number.isFinite(Number(match[2])), `no number of ours: ${line}`)
    assert.ok(!values.has(match[1]), `twice: ${line}`)
    values.set(match[1], Number(match[2]))
  }
  return values
}

test('the work of a node is told in numbers', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const url = await serveCloud(t, cloud)
  const before = await scrape(url)
  await createVm(cloud, dc, { name: 'second' })
  await assert.rejects(createVm(cloud, dc, { name: 'third', instanceOfferingUuid: dc.zone }))
  host.knobs.failNext('rebootVm', 'no power')
  await assert.rejects(cloud.call(rebootVmInstance, { uuid: vm.uuid }))
  const hold = host.knobs.hold('stopVm')
  t.after(() => hold.release())
  const stop = cloud.call(stopVmInstance, { uuid: vm.uuid })
  await hold.waiting
  const reboot = cloud.call(rebootVmInstance, { uuid: vm.uuid })
  const name = 'zstack_queue_waiting{kind="vm"}'
  await waitFor('the reboot to wait', async () => (await scrape(url)).get(name) === 1)
  const now = await scrape(url)
  const grown = (key: string) => (now.get(key) ?? 0) - (before.get(key) ?? 0)

  assert.equal(grown('zstack_api_call_seconds_count{api="CreateVmInstance",outcome="succeeded"}'), 1)
  assert.equal(grown('zstack_api_refused_total{api="CreateVmInstance"}'), 1)
  assert.equal(grown('zstack_api_call_seconds_count{api="RebootVmInstance",outcome="failed"}'), 1)
  assert.ok(grown('zstack_agent_call_seconds_count{call="vm.start"}') >= 1)
  assert.ok(grown('zstack_agent_call_failures_total{call="vm.reboot"}') >= 1)
  assert.equal(now.get('zstack_agent_calls_under_way'), 1)
  assert.equal(now.get('zstack_queue_running{kind="vm"}'), 1)
  assert.ok(Number(now.get('zstack_queue_oldest_wait_seconds{kind="vm"}')) >= 0)
  assert.equal(now.get('zstack_jobs{state="running"}'), 1)
  assert.equal(now.get('zstack_jobs{state="waiting"}'), 1)
  assert.equal(now.get('zstack_workflows{state="Running"}'), 1)
  assert.equal(now.get('zstack_hosts{status="Connected"}'), 1)
  assert.equal(now.get('zstack_gc_jobs'), 0)
  assert.equal(now.get('zstack_cluster_members'), 1)
  assert.ok(grown('zstack_database_writes_total') > 5)
  assert.ok(grown('zstack_database_statements_total') > grown('zstack_database_writes_total'))
  assert.ok(grown('zstack_database_commit_seconds_count') <= grown('zstack_database_writes_total'))
  assert.ok([...now.keys()].some((key) => key.startsWith('zstack_bus_call_seconds_count{')))
  assert.ok(Number(now.get('zstack_process_resident_memory_bytes')) > 2 ** 20)
  assert.ok(now.has('zstack_event_loop_lag_seconds{quantile="0.99"}'))
  for (const [key, value] of now) if (key.startsWith('zstack_scrape_incomplete')) assert.equal(value, 0, key)
  hold.release()
  await Promise.all([stop, reboot.catch(() => 'refused: it is stopped')])
})

test('how calls are let in is told: who runs, who waits and for how long, who was refused', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const url = await serveCloud(t, cloud)
  const { config } = cloud.cloud.context
  const told = async (name: string) => (await scrape(url)).get(`zstack_admission_${name}`)
  assert.deepEqual([await told('unfinished'), await told('jobs{state="running"}')], [0, 0])
  await config.set('apiJob', 'parallelismDegree', 1)
  const hold = host.knobs.hold('stopVm')
  t.after(() => hold.release())
  const stop = cloud.call(stopVmInstance, { uuid: vm.uuid })
  await hold.waiting
  const reboots = [1, 2].map(() =>
    cloud.call(rebootVmInstance, { uuid: vm.uuid }).catch(() => 'it is stopped'),
  )
  await waitFor('both to wait', async () => (await told('jobs{state="waiting"}')) === 2)
  const values = await scrape(url)
  assert.equal(values.get('zstack_admission_unfinished'), 3)
  assert.equal(values.get('zstack_admission_jobs{state="running"}'), 1)
  assert.ok(Number(values.get('zstack_admission_oldest_wait_seconds')) > 0)
  assert.equal(values.get('zstack_queue_deepest{kind="vm"}'), 2)
  await config.set('apiJob', 'slowAfter', 0)
  // Somebody who lacks only a slot gets that of the stop.
  await createVm(cloud, dc, { name: 'second' })
  assert.equal(await told('jobs{state="slow"}'), 1)
  await config.set('apiJob', 'maxUnfinished', 3)
  const name = 'refused_total{limit="apiJob.maxUnfinished"}'
  assert.equal(await told(name), 0)
  await assert.rejects(cloud.call(rebootVmInstance, { uuid: vm.uuid }), { code: 'LOAD.1001' })
  assert.equal(await told(name), 1)
  hold.release()
  await Promise.all([stop, ...reboots])
  assert.deepEqual([await told('unfinished'), await told('jobs{state="waiting"}')], [0, 0])
})

test('work between nodes is told by both of them', async (t) => {
  const { nodes } = await createTestCluster(t, 2)
  const [a, b] = nodes
  assert.ok(a !== undefined && b !== undefined)
  const [urlOfA, urlOfB] = [await serveCloud(t, a), await serveCloud(t, b)]
  const look = defineMessage<object, number>('monitoring.test')
  const gate = Promise.withResolvers<number>()
  b.cloud.context.serve(look, () => gate.promise)
  const call = a.cloud.context.bus.callNode(b.nodeUuid, look, {})
  const total = 'zstack_node_calls_total{message="monitoring.test"}'
  const before = await scrape(urlOfA)
  assert.equal(before.get(total), 1)
  assert.ok(Number(before.get('zstack_node_calls_unanswered')) >= 1)
  const begun = 'zstack_node_calls_received{state="begun"}'
  await waitFor('the other to work on it', async () => Number((await scrape(urlOfB)).get(begun)) >= 1)
  gate.resolve(1)
  await call
  const ended = 'zstack_node_calls_ended_total{message="monitoring.test",outcome="answered"}'
  assert.equal((await scrape(urlOfA)).get(ended), 1)
})

test('stuck workflows are counted', async (t) => {
  const { cloud } = await startStuckCloud(t)
  const values = await scrape(await serveCloud(t, cloud))
  assert.equal(values.get('zstack_workflows{state="Stuck"}'), 1)
})

test('metrics are for this machine, or for those who show the token', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const url = await serveCloud(t, cloud)
  const ask = async (headers: Record<string, string>) => (await fetch(`${url}/metrics`, { headers })).status
  const file = join(cloud.dataDir, 'metrics.token')
  const token = (await readFile(file, 'utf8')).trim()
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.ok(token.length >= 32)
  const proxied = { 'X-Forwarded-For': '10.0.0.9' }
  assert.equal(await ask({}), 200)
  assert.equal(await ask(proxied), 401)
  assert.equal(await ask({ Forwarded: 'for=10.0.0.9' }), 401)
  for (const wrong of ['Bearer ', 'Bearer x', `Bearer ${token}0`, `Basic ${token}`, token])
    assert.equal(await ask({ ...proxied, Authorization: wrong }), 401, wrong)
  assert.equal(await ask({ ...proxied, Authorization: `Bearer ${token}` }), 200)
  await cloud.restart()
  assert.equal((await readFile(file, 'utf8')).trim(), token, 'a restart keeps the token')
})

test('a part that hangs or fails is named, and hides nothing else', async (t) => {
  const broken = definePlugin({
    name: 'broken',
    setup(ctx) {
      ctx.hook(metricSource, {
        name: 'fails',
        tell: (sink) => {
          sink.gauge('half', 'Told before it failed.', 1)
          throw new Error('no numbers today')
        },
      })
      ctx.hook(metricSource, { name: 'hangs', tell: () => new Promise(() => {}) })
    },
  })
  const cloud = await createTestCloud({ plugins: (simulator) => [...allPlugins(simulator), broken] })
  t.after(() => cloud.dispose())
  const values = await scrape(await serveCloud(t, cloud))
  const missing = [...values].filter(
    ([key, value]) => key.startsWith('zstack_scrape_incomplete') && value > 0,
  )
  assert.deepEqual(
    missing.map(([key]) => key),
    ['zstack_scrape_incomplete{part="fails"}', 'zstack_scrape_incomplete{part="hangs"}'],
  )
  assert.equal(values.has('zstack_half'), false)
  assert.ok(values.has('zstack_database_statements_total'))
})
