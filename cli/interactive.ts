import { createInterface } from 'node:readline/promises'
import { type LoadedContract, loadContract, type ServerContract } from './contract.ts'
import { printFailure } from './print-failure.ts'
import { type CliDeps, runCommand } from './run-command.ts'
import { splitLine } from './split-line.ts'

const QUERY_OPTIONS = ['fields', 'sortBy', 'sortDirection', 'limit', 'start', 'count', 'replyWithCount']
const HISTORY = 'command_history'
const MAX_HISTORY = 1_000

/** Reads commands line by line until `quit` or the end of the input. */
export async function runInteractive(deps: CliDeps, keepPasswords: boolean): Promise<void> {
  const { home, terminal, say } = deps
  const loaded = await loadContract(deps.connection, home, say)
  terminal.err(`${say('welcome')}\n`)
  const history = ((await home.readCache(HISTORY)) ?? '').split('\n').filter((line) => line !== '')
  const lines = createInterface({
    input: process.stdin,
    output: process.stderr,
    completer: (line: string) => complete(loaded, line),
    history: [...history].reverse(),
    historySize: MAX_HISTORY,
  })
  // The input may end while a command runs; the lines read so far are still served.
  let isOpen = true
  lines.once('close', () => {
    isOpen = false
  })
  const prompt = () => {
    if (isOpen) lines.prompt()
  }
  lines.setPrompt('>>> ')
  prompt()
  for await (const line of lines) {
    const words = splitLine(line)
    if (words[0] === 'quit' || words[0] === 'exit') break
    if (words.length > 0 && !line.trimStart().startsWith('#')) {
      history.push(keepPasswords ? line.trim() : withoutPasswords(line.trim()))
      await runOne(deps, words)
    }
    prompt()
  }
  if (isOpen) lines.close()
  await home.writeCache(HISTORY, `${history.slice(-MAX_HISTORY).join('\n')}\n`)
}

async function runOne(deps: CliDeps, words: readonly string[]): Promise<void> {
  try {
    await runCommand(
      deps,
      words.filter((word) => word !== '--help'),
      words.includes('--help'),
    )
  } catch (error) {
    printFailure(error, deps.terminal, deps.say)
  }
}

function withoutPasswords(line: string): string {
  return line.replace(/(password=)("[^"]*"|'[^']*'|\S+)/gi, '$1')
}

/** API names for the first word, parameters or fields for the others. */
export function complete({ contract }: LoadedContract, line: string): [string[], string] {
  const words = line.split(/\s+/)
  const word = words.at(-1) ?? ''
  const [first = ''] = words
  if (words.length < 2 || (first === 'help' && words.length === 2)) {
    const names = [
      ...contract.apis.map((api) => api.name),
      ...(words.length < 2 ? ['explain', 'help', 'quit'] : []),
    ]
    return [matching(names, word, ' '), word]
  }
  return [matching(parametersOf(contract, first), word, '='), word]
}

function parametersOf(contract: ServerContract, apiName: string): string[] {
  const api = contract.apis.find(({ name }) => name === apiName)
  if (api === undefined) return []
  if (api.kind !== 'query') return api.params.map(({ name }) => name)
  const inventory = contract.inventories.find(({ name }) => name === api.inventory)
  return [...(inventory?.fields ?? []).map(({ name }) => name), ...QUERY_OPTIONS]
}

function matching(candidates: readonly string[], word: string, end: string): string[] {
  const lower = word.toLowerCase()
  return candidates.filter((c) => c.toLowerCase().startsWith(lower)).map((c) => `${c}${end}`)
}
