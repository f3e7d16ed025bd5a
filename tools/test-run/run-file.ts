/** Runs one test file in a process group of its own and tells what became of each of its tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { FileOn } from './databases.ts'
import type { TestLine } from './event-reporter.ts'
import { findProcessesWith, killHard, type RunningProcess } from './processes.ts'

export type Failure = { name: string; text: string }
export type Skip = { name: string; reason: string }
export type FileResult = FileOn & {
  passed: number
  failures: Failure[]
  skipped: Skip[]
  durationMs: number
  /** The last part of what the file printed. */
  output: string
}

export type FileRun = {
  root: string
  file: FileOn
  /** The file's own TMPDIR; made here, removed by the caller with the whole run. */
  folder: string
  /** Where compiled modules are kept for the next files: many take longer to compile than to run. */
  compiled: string
  timeLimitMs: number
  signal: AbortSignal
}

type Exit = { code: number | null; signal: NodeJS.Signals | null; isOverTime: boolean }

const reporterPath = fileURLToPath(new URL('./event-reporter.ts', import.meta.url))
const keptOutputChars = 100_000
const endGraceMs = 2_000

export async function runTestFile(run: FileRun): Promise<FileResult> {
  const startedAt = performance.now()
  await mkdir(run.folder, { recursive: true })
  const eventsPath = `${run.folder}.events`
  const child = spawn(
    process.execPath,
    [
      `--test-reporter=${reporterPath}`,
      `--test-reporter-destination=${eventsPath}`,
      join(run.root, run.file.path),
    ],
    {
      cwd: run.root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environmentOf(run),
    },
  )
  const readOutput = collectOutput(child)
  const exit = await waitForExit(child, run)
  const leftovers = await stopLeftovers(run.folder, exit.isOverTime || run.signal.aborted ? 0 : endGraceMs)
  if (child.pid) killHard(-child.pid)
  const lines = parseEvents(await readFile(eventsPath, 'utf8').catch(() => ''))
  // After a kill the file's children are no leak of the file: it had no chance to stop them.
  const leaks = exit.isOverTime
    ? []
    : leftovers.map(({ pid, command }) => `process ${pid} still runs: ${command}`)
  return {
    ...run.file,
    usesDatabase: run.file.usesDatabase || (await exists(databaseMarkOf(run))),
    ...summarise(lines, explainExit(exit, lines, run.timeLimitMs), leaks),
    durationMs: performance.now() - startedAt,
    output: readOutput(),
  }
}

function summarise(lines: TestLine[], fileFailures: string[], leaks: string[]) {
  return {
    passed: lines.filter((line) => line.type === 'pass').length,
    failures: [
      ...lines.flatMap((line) => (line.type === 'fail' ? [{ name: line.name, text: line.error }] : [])),
      ...fileFailures.map((text) => ({ name: '(file)', text })),
      ...leaks.map((text) => ({ name: '(leak)', text })),
    ],
    skipped: lines.flatMap((line) =>
      line.type === 'skip' ? [{ name: line.name, reason: line.reason }] : [],
    ),
  }
}

/** node:test marks the children of a test process; a file of ours is a fresh start even when a test runs this runner. */
function environmentOf(run: FileRun): NodeJS.ProcessEnv {
  return {
    ...withoutTestContext(process.env),
    TMPDIR: run.folder,
    ZSTACK_TEST_TMP: run.folder,
    ZSTACK_TEST_DB: run.file.database,
    ZSTACK_TEST_DB_MARK: databaseMarkOf(run),
    NODE_COMPILE_CACHE: run.compiled,
  }
}

/** A file that the testkit makes when a test asks for the database of tests. */
const databaseMarkOf = ({ folder }: FileRun): string => `${folder}.database`

function withoutTestContext({ NODE_TEST_CONTEXT: _, ...environment }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return environment
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function collectOutput(child: ChildProcess): () => string {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-keptOutputChars)
    })
  }
  return () => output
}

async function waitForExit(child: ChildProcess, run: FileRun): Promise<Exit> {
  let isOverTime = false
  const kill = () => child.pid && killHard(-child.pid)
  const timer = setTimeout(() => {
    isOverTime = true
    kill()
  }, run.timeLimitMs)
  run.signal.addEventListener('abort', kill)
  if (run.signal.aborted) kill()
  const [code, signal] = await once(child, 'exit')
  clearTimeout(timer)
  run.signal.removeEventListener('abort', kill)
  return { code, signal, isOverTime }
}

/** Processes the file started that outlive it; children may need a moment to end after being told to. Ends them. */
async function stopLeftovers(folder: string, graceMs: number): Promise<RunningProcess[]> {
  const leftovers = await waitForNone(folder, graceMs)
  for (const { pid } of leftovers) killHard(pid)
  // Death takes a moment; what follows (removing the folder, the look for leaks) must not race with it.
  if (leftovers.length > 0) await waitForNone(folder, endGraceMs)
  return leftovers
}

async function waitForNone(folder: string, timeoutMs: number): Promise<RunningProcess[]> {
  const deadline = performance.now() + timeoutMs
  let running = await findProcessesWith('ZSTACK_TEST_TMP', folder)
  while (running.length > 0 && performance.now() < deadline) {
    await pause(50)
    running = await findProcessesWith('ZSTACK_TEST_TMP', folder)
  }
  return running
}

function parseEvents(text: string): TestLine[] {
  // A killed process may leave a half line at the end; every whole line ends with a newline.
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

function explainExit({ code, signal, isOverTime }: Exit, lines: TestLine[], timeLimitMs: number): string[] {
  if (isOverTime) {
    const hint =
      'a test hangs, or something (server, timer, child process) keeps the file alive after its tests'
    return [`killed: not finished after ${timeLimitMs / 1000} s; ${hint}`]
  }
  const hasFailure = lines.some((line) => line.type === 'fail')
  if (!lines.some((line) => line.type === 'end')) {
    return [`the file ended before its tests did (${signal ?? `exit code ${code}`})`]
  }
  const late = lines.flatMap((line) => (line.type === 'late' ? [line.error] : []))
  if (code !== 0 && late.length > 0) return late
  if (code !== 0 && !hasFailure) return [`exit code ${signal ?? code} although no test failed`]
  if (lines.length === 1) return ['the file has no test']
  return []
}
