import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serveAgents } from '#plugins/simulator/agent-channel.ts'
import { createTestCloud, type TestCloud } from './cloud.ts'
import type { Doom } from './doomed-process.ts'
import { type Arrangement, copyArrangement, type WorkflowScenario } from './scenario.ts'
import {
  assertFinished,
  assertSame,
  assertSound,
  linesOf,
  outcomeOf,
  type Reference,
  repeat,
} from './workflow-laws.ts'

const program = fileURLToPath(new URL('./doomed-process.ts', import.meta.url))

/** One death of a management process. */
export interface Kill {
  readonly scenario: WorkflowScenario
  readonly arrangement: Arrangement
  readonly reference: Reference
  readonly killAt: number
  /** Set when it dies during the rollback of a step that failed at this moment. */
  readonly failAt?: number
}

/** Every moment of the scenario's steps, and, where it rolls back, every undo after its last step. */
export function killsOf(scenario: WorkflowScenario, arrangement: Arrangement, reference: Reference): Kill[] {
  const base = { scenario, arrangement, reference }
  const last = reference.moments.length - 1
  const undos = reference.undos
  const forward = reference.moments.map((_, killAt) => ({ ...base, killAt }))
  const backward = Array.from({ length: undos }, (_, killAt) => ({ ...base, killAt, failAt: last }))
  return [...forward, ...backward]
}

/** Processes that have loaded everything and wait for what to do: loading is most of the time a death takes. */
export class DoomedProcesses {
  readonly #waiting: ChildProcess[] = []
  readonly #scenarios: string
  readonly #cache = mkdtempSync(join(tmpdir(), 'zstack-compiled-'))

  /** `scenarios` is the path of a module that exports `workflowScenarios`. */
  constructor(scenarios: string, ahead: number) {
    this.#scenarios = scenarios
    for (let i = 0; i < ahead; i += 1) this.#waiting.push(this.#start())
  }

  /** Runs the scenario on `copy` in a process that dies by SIGKILL at the moment wanted. */
  async die(copy: Arrangement, { scenario, killAt, failAt }: Kill): Promise<void> {
    this.#waiting.push(this.#start())
    const child = this.#waiting.shift() as ChildProcess
    const said: string[] = []
    child.stderr?.on('data', (data) => said.push(String(data)))
    child.on('message', (message: { kind: string; outcome?: string }) => {
      if (message.kind !== 'survived') return
      said.push(`it lived on: ${message.outcome}`)
      child.kill('SIGKILL')
    })
    serveAgents(copy.world, {
      send: (message) => child.connected && child.send(message as object),
      on: (e, l) => child.on(e, l),
    })
    const { dir, nodeUuid, place } = copy
    const { name } = scenario
    const doom = {
      name,
      data: { dir, nodeUuid },
      place,
      killAt,
      ...(failAt === undefined ? {} : { failAt }),
    }
    const exited = once(child, 'exit')
    child.send({ kind: 'doom', ...doom } satisfies Doom)
    const [code, signal] = await exited
    assert.deepEqual(
      { code, signal, said },
      { code: null, signal: 'SIGKILL', said: [] },
      'how the process ended',
    )
  }

  async dispose(): Promise<void> {
    for (const child of this.#waiting.splice(0)) {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
    rmSync(this.#cache, { recursive: true, force: true })
  }

  #start(): ChildProcess {
    return fork(program, [this.#scenarios], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: this.#cache },
      execArgv: [],
    })
  }
}

/** Kills, starts again, and checks: all was taken back or finished, nothing is left over, and the caller is told which. */
export async function killAndRecover(processes: DoomedProcesses, kill: Kill): Promise<void> {
  const { scenario, arrangement, reference } = kill
  const copy = await copyArrangement(arrangement)
  try {
    await processes.die(copy, kill)
    const cloud = await createTestCloud({ data: copy, world: copy.world })
    try {
      await cloud.settled()
      await assertSound(cloud)
      const goal = recoveryOf(cloud, kill)
      if (goal === 'as before')
        assertSame(reference.before, await linesOf(cloud, scenario), 'what was before and what is left')
      if (goal === 'finished') await assertFinished(cloud, scenario, reference)
      await assertTold(cloud, goal, scenario)
      await repeat(cloud, scenario, arrangement, reference)
    } finally {
      await cloud.dispose()
    }
  } finally {
    await copy.dispose()
  }
}

/**
 * A workflow that only goes forward is finished after a crash, unless it had failed before. A call of several workflows is at
 * least sound, and its repeat ends it.
 */
function recoveryOf(cloud: TestCloud, { scenario, reference, killAt, failAt }: Kill) {
  const outcome = outcomeOf(cloud, scenario, reference, failAt ?? killAt)
  const goesForward = outcome === 'sound' && failAt === undefined && scenario.workflows.length === 1
  return goesForward ? 'finished' : outcome
}

/** The interrupted call is the last one that was accepted. */
async function assertTold(
  { cloud }: TestCloud,
  goal: string,
  { pointOfNoReturn }: WorkflowScenario,
): Promise<void> {
  const [job] = await cloud.context.db.all(
    'SELECT state, result FROM JobVO ORDER BY createDate DESC LIMIT 1',
    [],
  )
  const told = `${job?.state} ${job?.result}`
  if (goal === 'as before')
    assert.match(told, /^Done .*management node stopped.* everything it had done was rolled back/)
  else if (goal === 'finished' && pointOfNoReturn === undefined) assert.match(told, /^Done {"output":/)
  else assert.match(told, /^Done /)
}
