/** Reporter that node:test loads in a test's process: one JSON line for each finished test, one at the end. */
import type { TestEvent } from 'node:test/reporters'
import { inspect } from 'node:util'

export type TestLine =
  | { type: 'pass'; name: string; durationMs: number }
  | { type: 'fail'; name: string; durationMs: number; error: string }
  | { type: 'skip'; name: string; reason: string }
  /** What a test left running and what failed after its end. */
  | { type: 'late'; error: string }
  | { type: 'end' }

// biome-ignore lint/style/noDefaultExport: node:test takes a reporter only as a module's default export
export default async function* reportEvents(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = []
  for await (const event of events) {
    if (event.type === 'test:start') path.splice(event.data.nesting, path.length, event.data.name)
    if (event.type === 'test:diagnostic' && isLate(event.data.message))
      yield toLine({ type: 'late', error: event.data.message })
    if (event.type === 'test:summary') yield toLine({ type: 'end' })
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const line = describeResult(event, path.slice(0, event.data.nesting + 1).join(' > '))
    if (line) yield toLine(line)
  }
}

const isLate = (message: string): boolean => message.includes('asynchronous activity after the test ended')
const toLine = (line: TestLine): string => `${JSON.stringify(line)}\n`

type ResultEvent = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>

function describeResult(event: ResultEvent, name: string): TestLine | undefined {
  const { data } = event
  const durationMs = data.details.duration_ms
  if (isSet(data.skip)) return { type: 'skip', name, reason: reasonOf(data.skip, 'no reason given') }
  if (isSet(data.todo))
    return { type: 'skip', name, reason: `to do: ${reasonOf(data.todo, 'no reason given')}` }
  if (event.type === 'test:fail') {
    const { error } = event.data.details
    // The failing child was told already; its ancestors fail only because of it.
    if ('failureType' in error && error.failureType === 'subtestsFailed') return undefined
    return { type: 'fail', name, durationMs, error: inspect(error.cause ?? error, { colors: false }) }
  }
  return data.details.type === 'suite' ? undefined : { type: 'pass', name, durationMs }
}

const isSet = (mark: string | boolean | undefined): boolean => mark !== undefined && mark !== false
const reasonOf = (mark: string | boolean | undefined, otherwise: string): string =>
  typeof mark === 'string' && mark !== '' ? mark : otherwise
