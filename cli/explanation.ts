import { harmless, padEnd, widthOf } from './terminal.ts'
import type { Say } from './texts.ts'

interface QueueEntry {
  readonly queue: string
  readonly label: string
  readonly taskId?: string
  readonly running: boolean
  readonly forMs: number
}

interface ErrorWords {
  readonly code: string
  readonly details?: string
  readonly cause?: ErrorWords
}

/** What ExplainTask answers. Times come as the server writes dates. */
export interface Explanation {
  readonly uuid: string
  readonly apiName: string
  readonly state: string
  readonly accountUuid?: string
  readonly nodeUuid?: string
  readonly nodeSilence?: string
  readonly createDate: string
  readonly finishDate?: string
  readonly durationMs: number
  readonly holds: readonly QueueEntry[]
  readonly waits: readonly {
    readonly queue: string
    readonly forMs: number
    readonly aheadCount: number
    readonly ahead: readonly QueueEntry[]
  }[]
  readonly workflows: readonly {
    readonly uuid: string
    readonly name: string
    readonly state: string
    readonly step?: string
    readonly stepNumber?: number
    readonly stepForMs?: number
    readonly undoError?: ErrorWords
  }[]
  readonly agentCalls: readonly {
    readonly call: string
    readonly address: string
    readonly name?: string
    readonly forMs: number
  }[]
  readonly progress: readonly { readonly time: string; readonly percent?: number; readonly message: string }[]
  readonly error?: ErrorWords
}

/** A task in words: a headline, then a labelled line for each thing known. */
export function explanationText(task: Explanation, say: Say): string {
  const headline = `${task.apiName} ${task.uuid}  ${say(headlineOf(task), duration(task.durationMs))}`
  const lines = [...linesOf(task, say)]
  const width = Math.max(0, ...lines.map(([label]) => widthOf(label)))
  return [headline, ...lines.map(([label, text]) => `  ${padEnd(label, width)}  ${text}`)]
    .map((line) => harmless(line))
    .join('\n')
}

function headlineOf({ state }: Explanation) {
  switch (state) {
    case 'Waiting':
      return 'taskWaiting'
    case 'Succeeded':
      return 'taskSucceeded'
    case 'Failed':
      return 'taskFailed'
    default:
      return 'taskRunning'
  }
}

function* linesOf(task: Explanation, say: Say): Generator<readonly [string, string]> {
  if (task.nodeUuid !== undefined) yield [say('node'), task.nodeUuid]
  if (task.nodeSilence !== undefined) yield ['', say('nodeSilent', task.nodeSilence)]
  if (task.accountUuid !== undefined) yield [say('accountLabel'), task.accountUuid]
  yield [say('acceptedAt'), task.createDate]
  if (task.finishDate !== undefined) yield [say('endedAt'), task.finishDate]
  yield* waitLines(task, say)
  for (const { queue, forMs } of task.holds)
    yield [say('holdsQueue'), say('holdsFor', queue, duration(forMs))]
  yield* workflowLines(task, say)
  for (const { call, address, name, forMs } of task.agentCalls) {
    const where = name === undefined ? address : `${name} (${address})`
    yield [say('callsAgent'), say('agentAt', call, where, duration(forMs))]
  }
  for (const { time, percent, message } of task.progress.slice(-PROGRESS_LINES))
    yield [say('progressLabel'), `${time}  ${percent === undefined ? '' : `${percent}%  `}${message}`]
  for (let error = task.error; error !== undefined; error = error.cause)
    yield [error === task.error ? say('reasonLabel') : '', wordsOf(error)]
}

// The last ones tell where it is.
const PROGRESS_LINES = 5

function* waitLines({ waits }: Explanation, say: Say): Generator<readonly [string, string]> {
  for (const { queue, forMs, ahead, aheadCount } of waits) {
    if (queue === 'slots') {
      yield [say('waitsIn'), say('waitsForSlot', duration(forMs), aheadCount)]
      continue
    }
    yield [say('waitsIn'), say('waitsFor', duration(forMs), queue)]
    for (const entry of ahead) yield ['', `  ${aheadText(entry, say)}`]
    if (aheadCount > ahead.length) yield ['', `  ${say('andMore', aheadCount - ahead.length)}`]
  }
}

function aheadText({ label, taskId, running, forMs }: QueueEntry, say: Say): string {
  const time = duration(forMs)
  if (taskId === undefined) return say(running ? 'aheadRunsOwn' : 'aheadWaitsOwn', label, time)
  return say(running ? 'aheadRuns' : 'aheadWaits', label, taskId, time)
}

function* workflowLines({ workflows }: Explanation, say: Say): Generator<readonly [string, string]> {
  for (const { uuid, name, state, step = '-', stepNumber = 0, stepForMs, undoError } of workflows) {
    const text = {
      Stuck: say('workflowStuck', name, step),
      RollingBack: say('workflowRollingBack', name, step),
    }[state]
    const since = stepForMs === undefined ? '' : `, ${say('stepFor', duration(stepForMs))}`
    yield [say('workflowLabel'), (text ?? say('workflowRunning', name, step, stepNumber)) + since]
    if (undoError !== undefined) yield ['', say('stuckBecause', wordsOf(undoError))]
    if (state === 'Stuck') yield ['', say('stuckAdvice', uuid)]
  }
}

function wordsOf({ code, details }: ErrorWords): string {
  return [code, details].filter((word) => word !== undefined).join(' ')
}

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
] as const

/** `420 ms`, `12.3 s`, `3 min 12 s`, `1 d 4 h`: understood in every language the tool speaks. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const at = UNITS.findIndex(([size]) => ms >= size)
  const [size, unit] = UNITS[at] ?? UNITS[2]
  const [restSize, restUnit] = UNITS[at + 1] ?? [1_000, 's']
  return `${Math.floor(ms / size)} ${unit} ${Math.floor((ms % size) / restSize)} ${restUnit}`
}
