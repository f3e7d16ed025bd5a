import type { FileResult, Skip } from './run-file.ts'

export type RunResult = {
  files: FileResult[]
  /** Failures that belong to no file: leaks on the machine, packages that could not be installed. */
  runFailures: string[]
}

export type Totals = { passed: number; failed: number; skipped: number }

export function countTotals({ files, runFailures }: RunResult): Totals {
  const sum = (count: (file: FileResult) => number) => files.reduce((total, file) => total + count(file), 0)
  return {
    passed: sum((file) => file.passed),
    failed: sum((file) => file.failures.length) + runFailures.length,
    skipped: sum((file) => file.skipped.length),
  }
}

/** One line for a file; its failures and what it printed follow in full. */
export function describeFile(file: FileResult): string {
  const { kind, passed, failures, skipped } = file
  const mark = failures.length > 0 ? 'FAIL' : passed === 0 && skipped.length > 0 ? 'skip' : 'ok  '
  const counts = [`${passed} passed`]
  if (failures.length > 0) counts.push(`${failures.length} failed`)
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`)
  const lines = [
    `${mark} ${kind.padEnd(5)} ${nameOf(file)}  ${counts.join(', ')}, ${toSeconds(file.durationMs)}`,
  ]
  for (const { name, text } of failures) lines.push(`  ✖ ${name}`, indent(text))
  // What a chaos run went through is worth reading also when nothing was found.
  if (kind === 'chaos' && failures.length === 0) lines.push(indent(file.output.trim()))
  if (failures.length > 0 && file.output.trim() !== '')
    lines.push('  it printed:', indent(file.output.trimEnd()))
  if (failures.length > 0 && file.usesDatabase)
    lines.push(`  once more: ./zstack test --db ${file.database} ${file.path}`)
  return lines.join('\n')
}

/** The end of the run; its last line is `N passed, N failed`, with `, N skipped` when some were. */
export function describeRun(run: RunResult): string {
  const lines: string[] = ['']
  const slowest = [...run.files].sort((a, b) => b.durationMs - a.durationMs).slice(0, 10)
  if (slowest.length > 0) lines.push('slowest files:')
  for (const file of slowest) lines.push(`  ${toSeconds(file.durationMs).padStart(7)}  ${nameOf(file)}`)
  const skips = groupSkips(run.files)
  if (skips.length > 0) lines.push('skipped:', ...skips)
  const failedNames = run.files.flatMap((file) =>
    file.failures.map(({ name }) => `  ${nameOf(file)}: ${name}`),
  )
  if (failedNames.length + run.runFailures.length > 0) lines.push('failed:', ...failedNames)
  lines.push(...run.runFailures.map((text) => `  ${text}`))
  const { passed, failed, skipped } = countTotals(run)
  if (passed + failed === 0) lines.push('no test ran')
  lines.push(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return lines.join('\n')
}

function groupSkips(files: FileResult[]): string[] {
  const byReason = new Map<string, string[]>()
  for (const file of files) {
    for (const { name, reason } of file.skipped as Skip[]) {
      byReason.set(reason, [...(byReason.get(reason) ?? []), `${nameOf(file)}: ${name}`])
    }
  }
  return [...byReason].flatMap(([reason, names]) => [`  ${reason}:`, ...names.map((name) => `    ${name}`)])
}

/** Tells on which database the file ran, if it used one. */
function nameOf({ path, database, usesDatabase }: FileResult): string {
  return usesDatabase ? `${path} on ${database}` : path
}

const indent = (text: string): string => text.replace(/^/gm, '    ')
const toSeconds = (durationMs: number): string => `${(durationMs / 1000).toFixed(1)} s`
