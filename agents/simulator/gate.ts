import { type CallContext, refuseStale } from '#agent-rpc'
import type { CloudError } from '#kernel'
import type { Power } from './power.ts'

/** A call the simulated agent received; kept only while recording is on. */
export interface ReceivedCall {
  readonly name: string
  readonly input: unknown
  readonly callId: string
  readonly taskId: string | undefined
}

interface Failure {
  readonly error: CloudError
  readonly after: boolean
}

interface HeldPoint {
  readonly after: boolean
  readonly arrived: () => void
  readonly go: Set<() => void>
}

/** What is set for one call name, or for `*`. */
export interface Rule {
  latencyMs: number
  readonly next: Failure[]
  always: Failure | undefined
  readonly holds: Set<HeldPoint>
}

/** What the knobs have set; each call reads it on its way in and out. */
export interface Gate {
  readonly power: Power
  readonly rules: Map<string, Rule>
  readonly counts: Map<string, number>
  log: ReceivedCall[] | undefined
  /** The highest epoch of the cluster seen. On a real host it lies on disk: no crash takes it back. */
  highestEpoch: number
}

export type AnyHandler = (input: Readonly<Record<string, unknown>>, context: CallContext) => Promise<unknown>

const LOG_LIMIT = 20_000

/** `handler` behind the gate. An idle gate costs a counter and nothing else. */
export function gated(gate: Gate, name: string, handler: AnyHandler): AnyHandler {
  const admitted: AnyHandler = async (input, context) => {
    refuseStale(context.epoch, gate.highestEpoch, name)
    gate.highestEpoch = context.epoch
    return handler(input, context)
  }
  return (input, context) => {
    gate.counts.set(name, (gate.counts.get(name) ?? 0) + 1)
    if (gate.log !== undefined) {
      gate.log.push({ name, input, callId: context.callId, taskId: context.taskId })
      if (gate.log.length >= LOG_LIMIT) gate.log.splice(0, LOG_LIMIT / 2)
    }
    if (gate.rules.size === 0 && gate.power.state === 'up') return admitted(input, context)
    return pass(gate, name, () => admitted(input, context))
  }
}

async function pass(gate: Gate, name: string, run: () => Promise<unknown>): Promise<unknown> {
  await gate.power.pass()
  const latencyMs = gate.rules.get(name)?.latencyMs || gate.rules.get('*')?.latencyMs || 0
  if (latencyMs > 0) await delay(gate.power, latencyMs)
  await stopAt(gate, name, false)
  failAt(gate, name, false)
  const output = await run()
  await stopAt(gate, name, true)
  failAt(gate, name, true)
  await gate.power.pass()
  return output
}

function delay(power: Power, ms: number): Promise<void> {
  return power.wait((go) => {
    const timer = setTimeout(go, ms)
    return () => clearTimeout(timer)
  })
}

async function stopAt(gate: Gate, name: string, after: boolean): Promise<void> {
  for (const rule of rulesFor(gate, name)) {
    for (const held of [...rule.holds]) {
      if (held.after !== after) continue
      held.arrived()
      await gate.power.wait((go) => {
        held.go.add(go)
        return () => held.go.delete(go)
      })
      await gate.power.pass()
    }
  }
}

function failAt(gate: Gate, name: string, after: boolean): void {
  for (const rule of rulesFor(gate, name)) {
    if (rule.next[0]?.after === after) throw rule.next.shift()?.error
    if (rule.always?.after === after) throw rule.always.error
  }
}

function rulesFor(gate: Gate, name: string): Rule[] {
  return [gate.rules.get(name), gate.rules.get('*')].filter((rule) => rule !== undefined)
}
