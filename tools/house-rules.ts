/** Words and calls this house does not use, found by their text. Each rule says why. */
import type { ModuleFacts } from './module-facts.ts'
import { isTestFile, type SourceFile } from './source-tree.ts'

type Rule = {
  pattern: RegExp
  reason: string
  appliesTo: (path: string) => boolean
  /** A comment on the line or right above it makes the exception. */
  isExcusable?: true
}

const isCode = (path: string) => /\.tsx?$/.test(path)
/** The rules and their tests have to spell what they forbid. */
const isRuleItself = (path: string) => /^tools\/house-rules(\.test)?\.ts$/.test(path)

const rules: Rule[] = [
  {
    pattern: /(^|[^\w.~}-])\/home\//,
    reason:
      "a path of one person's machine; the project knows only its own folder and the system paths it owns",
    appliesTo: () => true,
  },
  {
    pattern: /\bshell:\s*(true|['"`])/,
    reason: 'no shell between us and a program; pass an argument array',
    appliesTo: isCode,
  },
  { pattern: /\.only\(|\bonly:\s*true/, reason: 'a focused test hides all others', appliesTo: isTestFile },
  {
    pattern: /\bsetTimeout\(\s*(resolve|done|r|res|ok)\b|\bawait (sleep|delay)\(|\bscheduler\.wait\(/,
    reason: 'a sleep; wait for the condition with waitFor',
    appliesTo: isTestFile,
  },
  {
    pattern: /(\/\/|\*).*\b(TODO|FIXME|HACK)\b(?!\(#\d+\))/,
    reason: 'an open end without an issue: TODO(#123) with a reason, or nothing',
    appliesTo: isCode,
  },
  {
    pattern: /\bcatch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\w*\) => (\{\s*\}|undefined)\)\s*$/,
    reason: 'an error disappears; say in a comment why it may',
    appliesTo: isCode,
    isExcusable: true,
  },
  {
    pattern: /@ts-(ignore|nocheck)|@ts-expect-error\s*$/,
    reason: 'type errors are not silenced; @ts-expect-error with a reason is the exception',
    appliesTo: isCode,
  },
]

const forbiddenFileName = /(^|\/)(utils?|helpers?|common|misc)(\/|\.tsx?$)/

/** Every breach as `path:line  reason`. */
export function findHouseRuleBreaches(files: SourceFile[], modules: ModuleFacts[]): string[] {
  const breaches = files.filter((file) => !isRuleItself(file.path)).flatMap(findForbiddenText)
  for (const { path, imports } of modules) {
    if (forbiddenFileName.test(path)) breaches.push(`${path}  a drawer, not a name; call it what it holds`)
    for (const { specifier, names, line } of imports) {
      if (/^(node:)?child_process$/.test(specifier) && names.some((name) => /^exec(Sync)?$/.test(name))) {
        breaches.push(`${path}:${line}  exec runs a shell; use execFile or spawn with an argument array`)
      }
      if (isTestFile(path) && /^(node:)?timers\/promises$/.test(specifier)) {
        breaches.push(`${path}:${line}  a sleep; wait for the condition with waitFor`)
      }
    }
  }
  return breaches
}

function findForbiddenText({ path, text }: SourceFile): string[] {
  const applicable = rules.filter((rule) => rule.appliesTo(path))
  const isHit = applicable.some((rule) => new RegExp(rule.pattern, 'm').test(text))
  if (!isHit) return []
  const lines = text.split('\n')
  return lines.flatMap((line, index) => {
    const isExcused = /\/\/ /.test(line) || /^\s*(\/\/|\*)/.test(lines[index - 1] ?? '')
    return applicable
      .filter(({ pattern, isExcusable }) => pattern.test(line) && !(isExcusable && isExcused))
      .map(({ reason }) => `${path}:${index + 1}  ${reason}: ${line.trim().slice(0, 80)}`)
  })
}
