import type { AgentCall } from '#agent-rpc'
import { parse } from '#contract'
import { CloudError, sysErrors } from '#kernel'
import { type AnyHandler, type Gate, gated, type ReceivedCall, type Rule } from './gate.ts'
import type { Power } from './power.ts'

/** A race point: every call of one name stops there until it is released. */
export interface Hold {
  /** Resolves when the first call stands at the point. */
  readonly waiting: Promise<void>
  release(): void
}

interface When {
  /** After the effect: it is done, but the answer is lost. */
  readonly after?: boolean
}

/** How a test bends a simulated agent. Calls go by their handler's name (`startVm`); `*` means every call. */
export interface CallKnobs<Name extends string> {
  /** Each such call takes `ms` longer from now on; 0 (the default) uses no timer. */
  latencyMs(name: Name | '*', ms: number): void
  /** The next such call fails: SYS.1006 before the effect, SYS.1016 (silence) after it, or the error given. */
  failNext(name: Name | '*', reason: string | CloudError, when?: When): void
  /** Each such call fails until `clear`. */
  failAlways(name: Name | '*', reason: string | CloudError, when?: When): void
  /** Takes latency and failures back and releases what is held, for one call or for all. */
  clear(name?: Name | '*'): void
  hold(name: Name | '*', when?: When): Hold
  /** How often a call came, whatever became of it; all calls together without a name. */
  count(name?: Name): number
  /** Starts or stops keeping whole inputs. Starting forgets what was kept before. */
  recordCalls(on: boolean): void
  /** The calls kept, oldest first; at least the last 10,000. */
  calls(name?: Name): readonly ReceivedCall[]
  /** Dies: what is volatile is lost, calls reject with SYS.1016 until `start`. */
  crash(): void
  start(): void
  /** Calls are not answered until `thaw`; they are served then, also when their caller has given up. */
  freeze(): void
  thaw(): void
  /** The agent is deployed anew with its epoch forgotten: a management restored from a backup takes it over. */
  forgetEpoch(): void
}

/** Puts every handler behind knobs, a power switch, and the check of its input that a real agent makes as well. */
export function gateHandlers<Handlers extends object>(
  calls: Readonly<Record<keyof Handlers & string, AgentCall>>,
  handlers: Handlers,
  power: Power,
): { readonly handlers: Handlers; readonly knobs: CallKnobs<keyof Handlers & string> } {
  const gate: Gate = { power, rules: new Map(), counts: new Map(), log: undefined, highestEpoch: 0 }
  const entries = Object.entries<AgentCall>(calls).map(([name, call]) => {
    const handler = handlers[name as keyof Handlers] as AnyHandler
    const checked: AnyHandler = async (input, context) =>
      handler(parse(call.input, input, call.name), context)
    return [name, gated(gate, name, checked)]
  })
  // The entries have the names and types of `handlers`, which Object.fromEntries cannot express.
  return { handlers: Object.fromEntries(entries) as Handlers, knobs: createKnobs(gate) }
}

function createKnobs(gate: Gate): CallKnobs<string> {
  return {
    latencyMs: (name, ms) => {
      ruleOf(gate, name).latencyMs = ms
      forgetIdle(gate)
    },
    failNext: (name, reason, when) => void ruleOf(gate, name).next.push(failure(reason, when)),
    failAlways: (name, reason, when) => {
      ruleOf(gate, name).always = failure(reason, when)
    },
    clear: (name) => clear(gate, name),
    hold: (name, when) => hold(gate, name, when?.after === true),
    count: (name) => {
      if (name !== undefined) return gate.counts.get(name) ?? 0
      return [...gate.counts.values()].reduce((sum, n) => sum + n, 0)
    },
    recordCalls: (on) => {
      gate.log = on ? [] : undefined
    },
    calls: (name) => (gate.log ?? []).filter((call) => name === undefined || call.name === name),
    crash: () => gate.power.crash(),
    start: () => gate.power.start(),
    freeze: () => gate.power.freeze(),
    thaw: () => gate.power.thaw(),
    forgetEpoch: () => {
      gate.highestEpoch = 0
    },
  }
}

function ruleOf(gate: Gate, name: string): Rule {
  const rule = gate.rules.get(name) ?? { latencyMs: 0, next: [], always: undefined, holds: new Set() }
  gate.rules.set(name, rule)
  return rule
}

function failure(reason: string | CloudError, when?: When): Rule['next'][number] {
  const after = when?.after === true
  if (reason instanceof CloudError) return { error: reason, after }
  return { error: new CloudError(after ? sysErrors.ioError : sysErrors.operationFailed, reason), after }
}

function hold(gate: Gate, name: string, after: boolean): Hold {
  const { promise: waiting, resolve: arrived } = Promise.withResolvers<void>()
  const held = { after, arrived, go: new Set<() => void>() }
  ruleOf(gate, name).holds.add(held)
  return { waiting, release: () => release(gate, name, held) }
}

function release(gate: Gate, name: string, held: Rule['holds'] extends Set<infer H> ? H : never): void {
  gate.rules.get(name)?.holds.delete(held)
  for (const go of held.go) go()
  held.go.clear()
  forgetIdle(gate)
}

function clear(gate: Gate, name: string | undefined): void {
  for (const [key, rule] of gate.rules) {
    if (name !== undefined && key !== name) continue
    gate.rules.delete(key)
    for (const held of rule.holds) release(gate, key, held)
  }
}

// A gate without rules lets calls through on the short way.
function forgetIdle(gate: Gate): void {
  for (const [name, rule] of gate.rules) {
    const idle = rule.latencyMs === 0 && rule.next.length === 0 && rule.always === undefined
    if (idle && rule.holds.size === 0) gate.rules.delete(name)
  }
}
