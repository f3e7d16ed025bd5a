import type { Random } from './random.ts'

/** Something that can be broken and made whole again. */
export interface Target {
  /** At most one of a group is broken at a time, so that a majority stays. */
  readonly group: string
  readonly name: string
  /** How often its group is chosen against others; 1 when absent. */
  readonly weight?: number
  readonly ways: Readonly<Record<string, Way>>
}

export interface Way {
  /** How often it is chosen against others of the target. */
  readonly weight: number
  readonly longestMs: number
  breakIt(): unknown
  /** Absent when it passes by itself. */
  mend?(): unknown
}

export interface Fault {
  readonly atMs: number
  readonly untilMs: number
  readonly target: Target
  readonly how: string
}

export interface ScheduleOptions {
  readonly random: Random
  readonly targets: readonly Target[]
  /** One of them is broken, once. */
  readonly rare?: readonly Target[]
  readonly durationMs: number
  /** Mean time between two faults. */
  readonly everyMs: number
  /** Faults come in storms of this length, with calm in between in which everything is whole. */
  readonly stormMs: number
  readonly calmMs: number
}

type Span = readonly [fromMs: number, untilMs: number]

/** Decides everything that will be broken, when, and for how long. */
export function makeSchedule(options: ScheduleOptions): Fault[] {
  const { random, targets, rare = [], durationMs, everyMs, stormMs, calmMs } = options
  const faults: Fault[] = []
  const busy = new Map<string, Span[]>()
  const stormOf = (atMs: number): Span => {
    const fromMs = atMs - (atMs % (stormMs + calmMs))
    return [fromMs, Math.min(fromMs + stormMs, durationMs)]
  }
  const plan = (atMs: number, target: Target) => {
    const bag = Object.entries(target.ways).flatMap(([how, { weight }]) => Array<string>(weight).fill(how))
    const how = random.pick(bag) ?? ''
    const endMs = atMs + 200 + random.int(target.ways[how]?.longestMs ?? 0)
    const untilMs = Math.min(endMs, Math.max(stormOf(atMs)[1], atMs + 200))
    const spans = busy.get(target.group) ?? []
    // Some time to recover in between.
    if (spans.some(([from, until]) => atMs < until + 500 && from < untilMs + 500)) return
    busy.set(target.group, [...spans, [atMs, untilMs]])
    faults.push({ atMs, untilMs, target, how })
  }
  const once = random.pick(rare)
  // At the beginning of a storm, so that there is time to notice it.
  if (once !== undefined) plan(stormOf(random.int(durationMs))[0] + 50, once)
  const weights = new Map(targets.map(({ group, weight = 1 }) => [group, weight]))
  const groups = [...weights].flatMap(([group, weight]) => Array<string>(weight).fill(group))
  for (let atMs = everyMs; atMs < durationMs; atMs += 50 + random.int(2 * everyMs)) {
    if (atMs >= stormOf(atMs)[1]) atMs = stormOf(atMs)[0] + stormMs + calmMs + random.int(everyMs)
    // Groups first, so that many hosts do not leave the few nodes alone.
    const group = random.pick(groups)
    const target = random.pick(targets.filter((one) => one.group === group))
    if (target !== undefined && atMs < durationMs) plan(atMs, target)
  }
  return faults.sort((a, b) => a.atMs - b.atMs)
}

/**
 * Breaks and mends as decided; ends after `durationMs`, when everything is whole, with what was really broken. `report` is told
 * what happens, and what could not be broken or mended.
 */
export async function runSchedule(
  faults: readonly Fault[],
  durationMs: number,
  report: (line: string) => void,
): Promise<Fault[]> {
  const done: Fault[] = []
  const startedAt = performance.now()
  // Mending may take longer than was planned.
  const broken = new Set<string>()
  // The schedule is a matter of time: there is no condition to wait for.
  const at = (ms: number) => {
    const { promise, resolve: begin } = Promise.withResolvers<void>()
    setTimeout(begin, Math.max(0, startedAt + ms - performance.now()))
    return promise
  }
  const run = async (fault: Fault) => {
    const { atMs, untilMs, target, how } = fault
    const way = target.ways[how]
    await at(atMs)
    if (broken.has(target.group)) return report(`${target.name}: nothing, as its group is not whole yet`)
    broken.add(target.group)
    report(`${target.name}: ${how} for ${untilMs - atMs} ms`)
    try {
      await way?.breakIt()
      done.push(fault)
      await at(untilMs)
      await way?.mend?.()
      report(`${target.name}: mended (${how})`)
    } catch (error) {
      report(`${target.name}: ${how} FAILED: ${String(error)}`)
    }
    broken.delete(target.group)
  }
  await Promise.all([at(durationMs), ...faults.map(run)])
  return done
}
