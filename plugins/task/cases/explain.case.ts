import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createHttpServer } from '#http'
import { newUuid, silentLogger, waitFor } from '#kernel'
import { createVm, startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { rebootVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { startStuckCloud } from '#plugins/workflow/cases/stuck-scene.ts'
import { assertRefused, type TestCloud, tempDir } from '#testkit'
import { explainTask } from '../contract/apis.ts'
import { explained, submit } from './explain-scene.ts'

const run = promisify(execFile)
const program = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url))

/** The command line client as a person has it, logged in. */
async function openCli(t: TestContext, { cloud }: TestCloud) {
  const { dispatcher, jobs, context } = cloud
  const resources = context.query.registry.all
  const server = createHttpServer({ log: silentLogger, dispatcher, jobs, resources })
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => server.dispose())
  const home = join(tempDir(t), 'cli')
  const cli = async (lang: string, ...words: string[]) => {
    const env = { PATH: process.env.PATH, ZSTACK_CLI_HOME: home, LANG: lang }
    const args = [program, '-H', '127.0.0.1', '-p', String(port), ...words]
    return (await run(process.execPath, args, { env })).stdout
  }
  await cli('C', 'LogInByAccount', 'accountName=admin', 'password=password')
  return cli
}

test('a running task tells its step and the agent it asks; one behind it tells the queue and what is ahead', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const hold = host.knobs.hold('stopVm')
  t.after(() => hold.release())
  const stop = await submit(cloud, stopVmInstance, { uuid: vm.uuid })
  await hold.waiting
  const reboot = await submit(cloud, rebootVmInstance, { uuid: vm.uuid })
  await waitFor('the second to wait', async () => (await explained(cloud, reboot)).state === 'Waiting')

  const running = await explained(cloud, stop)
  assert.deepEqual(
    [running.apiName, running.state, running.nodeUuid, running.waits],
    ['StopVmInstance', 'Running', cloud.nodeUuid, []],
  )
  assert.deepEqual(
    running.holds.map(({ queue, label }) => [queue, label]),
    [
      [`vm:${vm.uuid}`, 'StopVmInstance'],
      [`host-commands:${vm.hostUuid}`, 'vm.stop'],
    ],
  )
  const [flow] = running.workflows
  assert.deepEqual([flow?.name, flow?.state], ['vm.stop', 'Running'])
  assert.ok(Number(flow?.stepForMs) >= 0 && Number(flow?.stepForMs) <= running.durationMs)
  const [call] = running.agentCalls
  assert.deepEqual([call?.call, call?.address, call?.name], ['vm.stop', '10.1.0.1', 'host1'])
  assert.equal(running.progress.at(-1)?.message, flow?.step)

  const waiting = await explained(cloud, reboot)
  const [wait] = waiting.waits
  assert.equal(wait?.queue, `vm:${vm.uuid}`)
  assert.deepEqual(
    wait?.ahead.map(({ label, taskId, running: runs }) => [label, taskId, runs]),
    [['StopVmInstance', stop, true]],
  )

  const cli = await openCli(t, cloud)
  const words = await cli('C', 'explain', reboot)
  assert.match(words, new RegExp(`^RebootVmInstance ${reboot}  waits for its turn, .* so far\n`))
  assert.match(words, new RegExp(`waits +\\S+ m?s in the queue vm:${vm.uuid}, behind\n`))
  assert.match(words, new RegExp(`StopVmInstance \\(job ${stop}\\), which has run for`))
  const chinese = await cli('zh_CN.UTF-8', 'explain', stop)
  assert.match(chinese, /执行中,已 .*流程 +vm\.stop,步骤 .*调用中 +vm\.stop,代理 host1 \(10\.1\.0\.1\),已/s)
  const json = JSON.parse(await cli('C', 'explain', stop, '-j')) as { inventory: { uuid: string } }
  assert.equal(json.inventory.uuid, stop)

  hold.release()
  await cloud.cloud.jobs.idle(5_000)
  const done = await explained(cloud, stop)
  assert.deepEqual([done.state, done.holds, done.workflows, done.agentCalls], ['Succeeded', [], [], []])
  assert.equal(Number(done.finishDate) - done.createDate, done.durationMs)
  assert.match(await cli('C', 'explain', stop), / succeeded after \d+/)
})

test('a task that was not let in yet waits for a slot', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const other = await createVm(cloud, dc, { name: 'other' })
  await cloud.cloud.context.config.set('apiJob', 'parallelismDegree', 1)
  const hold = host.knobs.hold('stopVm')
  t.after(() => hold.release())
  await submit(cloud, stopVmInstance, { uuid: vm.uuid })
  await hold.waiting
  const second = await submit(cloud, stopVmInstance, { uuid: other.uuid })
  const told = await explained(cloud, second)
  assert.deepEqual(
    [told.state, told.waits.map(({ queue, aheadCount }) => [queue, aheadCount])],
    ['Waiting', [['slots', 0]]],
  )
  const cli = await openCli(t, cloud)
  assert.match(await cli('C', 'explain', second), /waits +\S+ m?s for a free slot: as many calls run as may/)
  hold.release()
  await cloud.cloud.jobs.idle(5_000)
})

test('a failed task tells why, and what of it is stuck', async (t) => {
  const { cloud } = await startStuckCloud(t)
  const [row] = await cloud.cloud.context.db.all(
    "SELECT uuid FROM JobVO WHERE apiName = 'CreateVmInstance'",
    [],
  )
  const failed = await explained(cloud, String(row?.uuid))
  assert.equal(failed.state, 'Failed')
  assert.match((failed.error as { details: string }).details, /the light went out/)
  const [flow] = failed.workflows
  assert.deepEqual([flow?.name, flow?.state, flow?.step], ['vm.create', 'Stuck', 'boot'])
  const cli = await openCli(t, cloud)
  const words = await cli('C', 'explain', String(row?.uuid))
  assert.match(
    words,
    /vm\.create could not be taken back, stuck at step boot\n +because: SYS\.1016 the host is away/,
  )
  assert.match(words, new RegExp(`RetryWorkflow uuid=${flow?.uuid}`))
})

test('an unknown task is said to be unknown', async (t) => {
  const { cloud } = await startStuckCloud(t)
  const says = /there is no task .*: it never was, or its result was kept long enough/
  await assertRefused(cloud, explainTask, { apiId: newUuid() }, { code: 'SYS.1003', says })
})

test('a task whose node cannot be asked is told as far as the database knows it, and why not more', async (t) => {
  const { cloud } = await startCloudWithVm(t)
  const uuid = newUuid()
  const [gone, account] = [newUuid(), newUuid()]
  const row = [uuid, 'StopVmInstance', account, gone, 'Processing', Date.now()]
  const columns = 'uuid, apiName, accountUuid, nodeUuid, state, createDate'
  await cloud.cloud.context.db.write((tx) =>
    tx.run(`INSERT INTO JobVO (${columns}) VALUES (?, ?, ?, ?, ?, ?)`, row),
  )
  const told = await explained(cloud, uuid)
  assert.deepEqual(
    [told.apiName, told.state, told.nodeUuid, told.accountUuid, told.agentCalls],
    ['StopVmInstance', 'Running', gone, account, []],
  )
  assert.match(told.nodeSilence ?? '', /\w/)
  const cli = await openCli(t, cloud)
  assert.match(
    await cli('C', 'explain', uuid),
    /it could not be asked, so queues and commands are not known: \w/,
  )
})
