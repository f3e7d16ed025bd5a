/** `./zstack check`: everything that can be said about the code without running it, at once, each with its time. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findImportViolations } from './arch.ts'
import { findDependencyBreaches } from './dependency-rules.ts'
import { findHouseRuleBreaches } from './house-rules.ts'
import { type ModuleFacts, readModuleFacts } from './module-facts.ts'
import { describeSize, isOverHardLimit, measureSizes } from './size-report.ts'
import { readSourceTree, repositoryRoot, type SourceFile, typescriptFiles } from './source-tree.ts'

type Outcome = { isGood: boolean; output: string }
type Check = { name: string; run: () => Promise<Outcome> | Outcome }

const textFiles = /(\.(tsx?|md|json|sh|txt|css|html|ya?ml)|^(zstack|run))$/
const notOurText = /^package-lock\.json$/

async function main(): Promise<void> {
  const startedAt = performance.now()
  const texts = await readSourceTree(repositoryRoot, textFiles)
  const sources = texts.filter((file) => typescriptFiles.test(file.path))
  const { modules, unreadable } = readModules(sources)
  const checks = [
    ...programChecks(),
    { name: 'syntax', run: () => listOutcome(unreadable) },
    ...ownChecks(texts, sources, modules),
  ]
  const results = await Promise.all(checks.map(runTimed))
  const failed = results.filter((isGood) => !isGood).length
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(
    `${results.length - failed} checks passed, ${failed} failed (${seconds} s, ${sources.length} files)`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}

/** A file that does not parse is one finding; the other files are still checked. */
function readModules(sources: SourceFile[]): { modules: ModuleFacts[]; unreadable: string[] } {
  const modules: ModuleFacts[] = []
  const unreadable: string[] = []
  for (const file of sources) {
    try {
      modules.push(readModuleFacts(file))
    } catch (error) {
      unreadable.push(error instanceof Error ? error.message : String(error))
    }
  }
  return { modules, unreadable }
}

function programChecks(): Check[] {
  const tool = (path: string) => join(repositoryRoot, 'node_modules', path)
  return [
    { name: 'types', run: () => runProgram(tool('typescript/bin/tsc'), ['-p', '.', '--pretty', 'false']) },
    {
      name: 'lint and format',
      run: () =>
        runProgram(tool('@biomejs/biome/bin/biome'), [
          'check',
          '--error-on-warnings',
          '--log-level=error',
          '--max-diagnostics=100',
          '.',
        ]),
    },
    { name: 'dead code', run: () => findDeadCode(tool('knip/bin/knip.js')) },
  ]
}

function ownChecks(texts: SourceFile[], sources: SourceFile[], modules: ModuleFacts[]): Check[] {
  return [
    {
      name: 'import rules',
      run: async () => listOutcome(findImportViolations(modules, await readImportMap())),
    },
    { name: 'sizes', run: () => checkSizes(sources, modules) },
    {
      name: 'house rules',
      run: () =>
        listOutcome(
          findHouseRuleBreaches(
            texts.filter((file) => !notOurText.test(file.path)),
            modules,
          ),
        ),
    },
    { name: 'dependencies', run: checkDependencies },
  ]
}

function checkSizes(sources: SourceFile[], modules: ModuleFacts[]): Outcome {
  const findings = measureSizes(sources, modules)
  const broken = findings.filter(isOverHardLimit)
  const shown = findings.slice(0, Math.max(10, broken.length))
  const lines = shown.map((item) => `${isOverHardLimit(item) ? 'OVER ' : 'soft '} ${describeSize(item)}`)
  return { isGood: broken.length === 0, output: lines.join('\n') }
}

async function checkDependencies(): Promise<Outcome> {
  const [pack, lock, documentation] = await Promise.all(
    ['package.json', 'package-lock.json', 'docs/dependencies.md'].map(readRepositoryFile),
  )
  return listOutcome(
    findDependencyBreaches(JSON.parse(pack ?? ''), JSON.parse(lock ?? ''), documentation ?? ''),
  )
}

async function readImportMap(): Promise<Record<string, string>> {
  return JSON.parse(await readRepositoryFile('package.json')).imports
}

function readRepositoryFile(path: string): Promise<string> {
  return readFile(join(repositoryRoot, path), 'utf8')
}

function listOutcome(breaches: string[]): Outcome {
  return { isGood: breaches.length === 0, output: breaches.join('\n') }
}

async function runTimed({ name, run }: Check): Promise<boolean> {
  const startedAt = performance.now()
  const { isGood, output } = await run()
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`${isGood ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
  if (output.trim() !== '') console.log(output.trimEnd().replace(/^/gm, '     '))
  return isGood
}

/** Until there is a server, parts wait for what will use them; then being unused is only worth a word. */
async function findDeadCode(knip: string): Promise<Outcome> {
  const outcome = await runProgram(knip, ['--no-progress', '--no-config-hints'])
  if (existsSync(join(repositoryRoot, 'server/main.ts'))) return outcome
  const headings = outcome.output.match(/^Un.*\(\d+\)/gm) ?? []
  return { isGood: true, output: headings.length > 0 ? `no server/main.ts yet: ${headings.join(', ')}` : '' }
}

/** Runs a Node program of ours in the repository; its output is shown, warnings too. */
function runProgram(script: string, args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: repositoryRoot })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk
      })
    }
    child.once('error', reject)
    const isSmallTalk = (code: number | null) => code === 0 && /^Checked \d+ files/.test(output)
    child.once('close', (code) => resolve({ isGood: code === 0, output: isSmallTalk(code) ? '' : output }))
  })
}

await main()
