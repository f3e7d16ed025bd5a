import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AgentHandlers, createAgentClient, createAgentServer, createAuthority } from '#agent-rpc'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { createSimulatedWorld, type SimulatedWorld } from '#agents/simulator/world.ts'
import { createLogger, currentTask, type Logger, newUuid } from '#kernel'
import { agentsOf, type SimulatedAgents } from '#plugins/simulator/agents.ts'
import { createSimulatorPluginOf } from '#plugins/simulator/plugin.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { allPlugins } from '#server/plugins.ts'
import { buildDataCenter, createTestCloud, simulatedHost, tempDir } from '#testkit'

type Line = Readonly<Record<string, unknown>>

/** A logger as a process has it, and what it wrote. */
function fileLogger(t: TestContext, name: string): { log: Logger; lines: () => Line[]; text: () => string } {
  const file = join(tempDir(t), name)
  const fd = openSync(file, 'w')
  t.after(() => closeSync(fd))
  const text = () => readFileSync(file, 'utf8')
  const lines = () =>
    text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  return { log: createLogger({ name, level: 'debug', fd }), lines, text }
}

/** The simulated hosts, each command of which goes over the wire to a real agent server with a log of its own. */
async function overTheWire(t: TestContext, world: SimulatedWorld, logger: Logger): Promise<SimulatedAgents> {
  const inner = agentsOf(world)
  const authority = await createAuthority(join(tempDir(t), 'ca'))
  const uuid = newUuid()
  const handlersNow = () => inner.host('10.1.0.1', { cpuNum: 64, totalMemoryBytes: 2 ** 36 }).handlers
  const forwarding = Object.fromEntries(
    Object.keys(kvmHostCalls).map((name) => [
      name,
      (input: never, context: never) => {
        logger.info({ command: name }, 'inside the handler')
        return handlersNow()[name as 'stopVm'](input, context)
      },
    ]),
  ) as unknown as AgentHandlers<typeof kvmHostCalls>
  const tls = await authority.issueAgent({ uuid, role: 'kvm-host', addresses: ['127.0.0.1'] })
  const hello = { uuid, bundleHash: 'a'.repeat(64) }
  const server = createAgentServer({ tls, calls: kvmHostCalls, handlers: forwarding, logger, ...hello })
  const port = await server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  const management = await authority.issueManagement()
  const client = createAgentClient({ address: '127.0.0.1', port, uuid, tls: management, logger })
  t.after(() => client.close())
  const names = Object.entries(kvmHostCalls)
  const handlers = Object.fromEntries(
    names.map(([name, call]) => [name, (input: never) => client.call(call as never, input)]),
  ) as unknown as AgentHandlers<typeof kvmHostCalls>
  return { ...inner, host: (address, facts) => ({ ...inner.host(address, facts), handlers }) }
}

test('one task id leads from an API call through the management’s log to the agent’s, and back in the error', async (t) => {
  const management = fileLogger(t, 'management')
  const agent = fileLogger(t, 'agent')
  const world = createSimulatedWorld()
  const agents = await overTheWire(t, world, agent.log)
  const cloud = await createTestCloud({
    world,
    log: management.log,
    plugins: () => allPlugins(createSimulatorPluginOf(agents)),
  })
  t.after(() => cloud.dispose())
  const dc = await buildDataCenter(cloud)
  const sessionUuid = String((await cloud.cloud.context.db.all('SELECT uuid FROM SessionVO', []))[0]?.uuid)
  const submit = async (name: string) => {
    const params = { name, imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering }
    const all = { ...params, l3NetworkUuids: [dc.l3] }
    return (await cloud.cloud.dispatcher.submit({ api: createVmInstance, params: all, sessionUuid })).jobUuid
  }
  simulatedHost(cloud).knobs.failNext('startVm', 'no more power')
  const [failing, good] = await Promise.all([submit('failing'), submit('good')])
  const results = await Promise.all([failing, good].map((uuid) => cloud.cloud.jobs.done(uuid)))
  const [loser, winner] = 'error' in (results[0] ?? {}) ? [failing, good] : [good, failing]
  const failed = results.find((result) => 'error' in result)
  assert.ok(failed !== undefined && 'error' in failed)
  assert.equal(failed.error.opaque?.taskId, loser, 'the error carries it')

  const of = (lines: Line[], taskId: string) => lines.filter((line) => line.taskId === taskId)
  const words = of(management.lines(), loser).map(({ msg }) => msg)
  assert.ok(words.includes('workflow rolls back') && words.includes('an API call failed'), words.join('; '))
  for (const taskId of [loser, winner]) {
    const there = of(agent.lines(), taskId)
    assert.ok(there.some(({ msg, call }) => msg === 'call' && call === 'vm.start'))
    assert.ok(there.some(({ msg, command }) => msg === 'inside the handler' && command === 'startVm'))
  }
  const refusals = agent.lines().filter(({ call, outcome }) => call === 'vm.start' && outcome !== 'ok')
  assert.deepEqual(
    refusals.map(({ taskId }) => taskId),
    [loser],
  )
  for (const line of [...management.text().split('\n'), ...agent.text().split('\n')])
    assert.ok(line.split('"taskId"').length <= 2, `the id is there twice: ${line}`)
  assert.equal(currentTask(), undefined)
})
