/** `./zstack test`: finds test files, runs each in its own process and folder, and leaves the machine as it was. */
import { rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureDebianPackages } from './setup/install-debian.ts'
import { repositoryRoot } from './source-tree.ts'
import {
  databasesOf,
  type FileOn,
  firstRunOf,
  furtherRunsOf,
  isSqlite,
  missingFor,
  type TestDatabase,
} from './test-run/databases.ts'
import { discoverTests, type TestFile, type TestKind } from './test-run/discover.ts'
import { isAnotherRunActive, makeRunFolder, watchForLeaks } from './test-run/leaks.ts'
import { countTotals, describeFile, describeRun } from './test-run/report.ts'
import { type FileResult, runTestFile } from './test-run/run-file.ts'

const timeLimitsMs: Record<TestKind, number> = {
  unit: 120_000,
  cases: 300_000,
  e2e: 900_000,
  chaos: 3_600_000,
}
const parallelFiles = 2
const noRootReason =
  'end-to-end tests make network namespaces and virtual machines: run ./zstack test as root'

type Options = {
  root: string
  isFixture: boolean
  /** Other work on this machine comes and goes meanwhile: what appears is told, but may not be ours. */
  isShared: boolean
  timeLimitMs: number | undefined
  databases: readonly TestDatabase[]
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      shared: { type: 'boolean' },
      db: { type: 'string' },
      // Seeds of the chaos suite: N, or N,M,…
      seed: { type: 'string' },
      // For the runner's own tests: another tree, another limit.
      root: { type: 'string' },
      'time-limit': { type: 'string' },
    },
  })
  if (values.seed !== undefined) process.env.ZSTACK_CHAOS_SEEDS = values.seed
  const options: Options = {
    root: resolve(values.root ?? repositoryRoot),
    isFixture: values.root !== undefined,
    isShared: values.shared === true,
    timeLimitMs: values['time-limit'] ? Number(values['time-limit']) * 1000 : undefined,
    databases: askedDatabases(values.db ?? process.env.ZSTACK_TEST_DB),
  }
  const tests = await discoverTests(options.root, positionals)
  const run = await runTests(tests, options)
  if (values.json)
    await writeFile(values.json, `${JSON.stringify({ ...countTotals(run), ...run }, null, 2)}\n`)
  console.log(describeRun(run))
  const { passed, failed } = countTotals(run)
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}

function askedDatabases(name: string | undefined): readonly TestDatabase[] {
  const databases = databasesOf(name)
  if (databases !== undefined) return databases
  console.error(`zstack test: --db is sqlite or mariadb, not '${name}'`)
  process.exit(2)
}

async function runTests(tests: TestFile[], options: Options) {
  const runFailures: string[] = []
  if (!options.isFixture && tests.length > 0) runFailures.push(...(await installPackages()))
  const runFolder = await makeRunFolder()
  const abort = new AbortController()
  const onSignal = () => abort.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal).once('SIGHUP', onSignal)
  try {
    const leakCheck = await watchForLeaks(options.root)
    const files = await runFiles(tests, runFolder, abort.signal, options)
    if (abort.signal.aborted) runFailures.push('interrupted: not every test ran')
    const leaks = (await leakCheck.findLeaks()).map((leak) => `leak: ${leak}`)
    if (leaks.length > 0 && (options.isShared || (await isAnotherRunActive(runFolder)))) {
      console.log(`other work is active on this machine; these may be its own:\n  ${leaks.join('\n  ')}`)
    } else runFailures.push(...leaks)
    return { files, runFailures }
  } finally {
    await rm(runFolder, { recursive: true, force: true })
  }
}

async function runFiles(tests: TestFile[], runFolder: string, signal: AbortSignal, options: Options) {
  const results: FileResult[] = []
  const runs = tests.map((file) => firstRunOf(file, options.databases))
  const queues = { parallel: runs.filter((run) => !needsMachine(run)), serial: runs.filter(needsMachine) }
  const compiled = join(runFolder, 'compiled')
  let started = 0
  const work = async (queue: FileOn[]) => {
    for (let file = queue.shift(); file && !signal.aborted; file = queue.shift()) {
      const folder = join(runFolder, String(started++))
      const timeLimitMs = options.timeLimitMs ?? timeLimitMsOf(file)
      const reason = missingHere(file, options)
      const result =
        reason === undefined
          ? await runTestFile({ root: options.root, file, folder, compiled, timeLimitMs, signal })
          : skipFile(file, reason)
      results.push(result)
      console.log(describeFile(result))
      queue.unshift(...furtherRunsOf(result, options.databases))
    }
  }
  await Promise.all(Array.from({ length: parallelFiles }, () => work(queues.parallel)))
  await work(queues.serial)
  return results
}

/** A database in another process takes its time for each statement. */
function timeLimitMsOf({ kind, database }: FileOn): number {
  return timeLimitsMs[kind] * (isSqlite(database) ? 1 : 3)
}

function missingHere({ kind, database }: FileOn, { isFixture, databases }: Options): string | undefined {
  if (kind === 'e2e' && process.geteuid?.() !== 0) return noRootReason
  // Who asked for one by name is told by its failure that it is not there.
  return isFixture || databases.length === 1 ? undefined : missingFor(database)
}

/** Several at the same time would disturb each other. */
const needsMachine = ({ kind }: TestFile): boolean => kind === 'e2e' || kind === 'chaos'

function skipFile(file: FileOn, reason: string): FileResult {
  const skipped = [{ name: '(whole file)', reason }]
  return { ...file, passed: 0, failures: [], skipped, durationMs: 0, output: '' }
}

/** Without root, tests that need a program say so themselves; with root, not getting one is a failure of the run. */
async function installPackages(): Promise<string[]> {
  try {
    await ensureDebianPackages('test')
    return []
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    console.error(`zstack: ${message}`)
    return process.geteuid?.() === 0 ? [`Debian packages: ${message}`] : []
  }
}

await main()
