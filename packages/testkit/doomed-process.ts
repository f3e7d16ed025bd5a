import { flushCompileCache } from 'node:module'
import { pathToFileURL } from 'node:url'
import { type Channel, remoteAgents } from '#plugins/simulator/agent-channel.ts'
import { createSimulatorPluginOf } from '#plugins/simulator/plugin.ts'
import { allPlugins } from '#server/plugins.ts'
import type { WorkflowObserver } from '#workflow'
import { createTestCloud } from './cloud.ts'
import type { Place, WorkflowScenario } from './scenario.ts'

/** What a management process that will be killed is to do. */
export interface Doom {
  readonly kind: 'doom'
  readonly name: string
  readonly data: { readonly dir: string; readonly nodeUuid: string }
  readonly place: Place
  /** Number of the moment at which it dies: of steps, or of undos when a step is made to fail first. */
  readonly killAt: number
  readonly failAt?: number
}

/** A management process of its own: its agents are in its parent, and it ends by kill -9 in the middle of its work. */
async function live(channel: Channel, doom: Doom): Promise<void> {
  const scenario = workflowScenarios.find(({ name }) => name === doom.name)
  if (scenario === undefined) throw new Error(`there is no scenario '${doom.name}'`)
  const plugins = () => allPlugins(createSimulatorPluginOf(remoteAgents(channel)))
  const observe = observer(doom)
  let armed = false
  const cloud = await createTestCloud({
    data: doom.data,
    plugins,
    observe: (moment) => (armed ? observe(moment) : undefined),
  })
  await cloud.settled()
  armed = true
  const outcome = await Promise.resolve(scenario.act(cloud, doom.place)).then(
    () => 'it was done',
    (error: Error) => error.message,
  )
  channel.send({ kind: 'survived', outcome })
}

function observer({ killAt, failAt }: Doom): WorkflowObserver {
  let step = 0
  let undo = 0
  return async ({ phase }) => {
    if (phase === 'undone') {
      if (failAt !== undefined && undo++ === killAt) await die()
      return undefined
    }
    const now = step++
    if (failAt === now) throw new Error(`injected at moment ${failAt}`)
    if (failAt === undefined && now === killAt) await die()
    return undefined
  }
}

function die(): Promise<never> {
  process.kill(process.pid, 'SIGKILL')
  return new Promise(() => {})
}

if (process.send === undefined) throw new Error('this process is started by the workflow kills, not by hand')
const channel: Channel = {
  send: (message) => process.send?.(message),
  on: (event, listener) => process.on(event, listener),
}
const { workflowScenarios } = (await import(pathToFileURL(process.argv[2] ?? '').href)) as {
  workflowScenarios: readonly WorkflowScenario[]
}
// A process that is killed would not keep what it compiled for the next one.
flushCompileCache()
process.on('disconnect', () => process.exit(1))
process.once('message', (message) => {
  live(channel, message as Doom).catch((error: Error) => {
    channel.send({ kind: 'survived', outcome: `it could not even begin: ${error.stack}` })
  })
})
