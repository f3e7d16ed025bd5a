/**
 * Runs one seed: `./zstack node e2e/chaos/main.ts --seed 7 --stage cluster`. Prints what happened; ends with 1 when something was
 * found. What is broken, when, and what clients do follows from the seed alone; what comes of it also from the machine's speed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { clusterMembers, nodeNames, openClusterStage } from './cluster-stage.ts'
import { createRandom } from './random.ts'
import { bootRealHosts, openLab } from './real-hosts.ts'
import { runChaos } from './run-chaos.ts'
import { openSingleStage } from './single-stage.ts'
import { layWires, removeWires, wiresOf } from './wires.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    /** `single`: one node on SQLite. `cluster`: three nodes, brokers, database members; needs root. */
    stage: { type: 'string', default: 'single' },
    seconds: { type: 'string', default: '20' },
    /** Each waits for one call at a time: on a busy machine few would leave the cloud with little to do. */
    clients: { type: 'string', default: '48' },
    /** Milliseconds between two faults of a storm. */
    every: { type: 'string', default: '1000' },
    /** Seconds of faults, and without faults, in turn. */
    storm: { type: 'string', default: '10' },
    calm: { type: 'string', default: '16' },
    /** Real virtual hosts beside the simulated ones, in the stage `cluster`. */
    'real-hosts': { type: 'string', default: '2' },
    'quiet-seconds': { type: 'string', default: '40' },
    /** Keeps the logs of all processes there. */
    keep: { type: 'string' },
    /** For itself: the wires it was started in the middle of. */
    wires: { type: 'string' },
  },
})

const realHosts = Number(values['real-hosts'])
if (values.stage === 'cluster' && values.wires === undefined) await runInTheMiddle()
else await runHere()

/** Makes the network, runs this program in the middle of it, and removes it again. */
async function runInTheMiddle(): Promise<void> {
  const name = String(process.pid)
  const lab = realHosts > 0 ? openLab(name) : undefined
  try {
    const wires = await layWires(name, clusterMembers)
    const { middle } = wires
    if (lab !== undefined) await bootRealHosts(lab, realHosts, wires, nodeNames)
    const enter = ['--pdeathsig', 'KILL', 'nsenter', `--net=/run/netns/${middle}`, '--']
    const again = [process.execPath, ...process.argv.slice(1), '--wires', name]
    const child = spawn('setpriv', [...enter, ...again], { stdio: 'inherit' })
    const [code] = await once(child, 'exit')
    process.exitCode = code === null ? 1 : Number(code)
  } finally {
    await lab?.down()
    await removeWires(name, clusterMembers)
  }
}

async function runHere(): Promise<void> {
  const seed = Number(values.seed)
  if (values.keep !== undefined) mkdirSync(values.keep, { recursive: true })
  const dir = values.keep ?? mkdtempSync(join(tmpdir(), 'zstack-chaos-'))
  const startedAt = performance.now()
  const log = (line: string) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    appendFileSync(join(dir, 'chaos.log'), `${seconds.padStart(6)} ${line}\n`)
  }
  const random = createRandom(seed).fork('stage')
  const stage =
    values.wires === undefined
      ? await openSingleStage(dir, random)
      : await openClusterStage(
          dir,
          random,
          wiresOf(values.wires, clusterMembers),
          realHosts > 0 ? openLab(values.wires) : undefined,
        )
  log('the stage is set')
  try {
    const report = await runChaos(stage, {
      seed,
      durationMs: Number(values.seconds) * 1000,
      clients: Number(values.clients),
      everyMs: Number(values.every),
      stormMs: Number(values.storm) * 1000,
      calmMs: Number(values.calm) * 1000,
      quietMs: Number(values['quiet-seconds']) * 1000,
      log,
    })
    log(report.text)
    console.log(report.text)
    process.exitCode = report.findings.length === 0 ? 0 : 1
  } finally {
    await stage.dispose()
    if (values.keep === undefined) rmSync(dir, { recursive: true, force: true })
  }
}
