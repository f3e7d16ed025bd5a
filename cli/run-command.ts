import { readQuery } from './conditions.ts'
import type { Connection } from './connection.ts'
import { type ApiDescription, type LoadedContract, loadContract, type ServerContract } from './contract.ts'
import { type Explanation, explanationText } from './explanation.ts'
import { ApiFailure, ServerFailure, UsageError } from './failure.ts'
import { apiHelp, generalHelp } from './help.ts'
import type { CliHome } from './home.ts'
import { readParameters } from './parameters.ts'
import { hashPasswords } from './passwords.ts'
import { showProgress } from './progress.ts'
import { suggest } from './suggest.ts'
import { formatRecord, formatTable } from './table.ts'
import type { Terminal } from './terminal.ts'
import type { Say } from './texts.ts'

export interface CliDeps {
  readonly connection: Connection
  readonly home: CliHome
  readonly terminal: Terminal
  readonly say: Say
  readonly isTable: boolean
  readonly isJson: boolean
}

const LOGINS = ['LogInByAccount', 'LogInByUser', 'LogInByLdap', 'LoginIAM2VirtualID', 'LogIn']

/** Runs one command, `ApiName name=value …` or `help …`. Throws UsageError, ServerFailure, ApiFailure. */
export async function runCommand(deps: CliDeps, words: readonly string[], wantsHelp: boolean): Promise<void> {
  const [first = 'help', ...rest] = words
  if (first === 'help') return help(deps, rest[0])
  if (wantsHelp) return help(deps, first)
  const { contract } = await load(deps)
  if (first === 'explain') return explain(deps, contract, rest)
  const api = findApi(contract, first, deps.say)
  print(deps, api, await callApi(deps, contract, api, rest))
}

/** `explain JOBUUID`: ExplainTask in words. */
async function explain(deps: CliDeps, contract: ServerContract, words: readonly string[]): Promise<void> {
  const { say, terminal } = deps
  const [apiId, ...more] = words
  if (apiId === undefined || more.length > 0) throw new UsageError(say('explainUsage'))
  const api = findApi(contract, 'ExplainTask', say)
  const reply = await callApi(deps, contract, api, [`apiId=${apiId}`])
  if (deps.isJson) return terminal.out(JSON.stringify(reply, null, 4))
  terminal.out(explanationText(reply.inventory as Explanation, say))
}

async function load({ connection, home, say }: CliDeps): Promise<LoadedContract> {
  return loadContract(connection, home, say)
}

export function findApi(contract: ServerContract, name: string, say: Say): ApiDescription {
  const found = contract.apis.find((api) => api.name === name)
  if (found !== undefined) return found
  const guess = suggest(
    name,
    contract.apis.map((api) => api.name),
  )
  const hint = guess === undefined ? say('seeHelp', '').trim() : say('didYouMean', guess)
  throw new UsageError(`${say('unknownApi', name)}; ${hint}`)
}

async function help(deps: CliDeps, name: string | undefined): Promise<void> {
  const { terminal, say, connection } = deps
  let loaded: LoadedContract | undefined
  try {
    loaded = await load(deps)
  } catch (error) {
    if (!(error instanceof ServerFailure) || name !== undefined) throw error
    terminal.err(`${say('offlineNoHelp', connection.address)}\n`)
  }
  if (loaded?.isStale === true) terminal.err(`${say('offlineHelp')}\n`)
  if (name === undefined || loaded === undefined) terminal.out(generalHelp(loaded?.contract, say))
  else terminal.out(apiHelp(findApi(loaded.contract, name, say), loaded.contract, say))
}

async function callApi(
  deps: CliDeps,
  contract: ServerContract,
  api: ApiDescription,
  words: readonly string[],
): Promise<Record<string, unknown>> {
  const { connection, home, terminal, say } = deps
  const session = await home.readSession()
  const given = withSessionToEnd(api, words, session?.uuid)
  const params = api.kind === 'query' ? readQuery(given, say) : readParameters(api, given, say)
  const content = hashPasswords(api.name, params, say)
  if (api.needSession && session === undefined) throw new UsageError(say('logInFirst'))
  const progress = showProgress({ connection, contract, terminal, say }, session?.uuid)
  let reply: Record<string, unknown>
  try {
    const sent = { ...content, session: session === undefined ? {} : { uuid: session.uuid } }
    reply = await connection.send(api.name, { message: api.message, content: sent }, progress.onWait)
  } catch (error) {
    if (error instanceof ApiFailure && isSessionOver(error)) await home.dropSession()
    throw error
  } finally {
    progress.clear()
  }
  await keepSession(home, api.name, content, reply)
  return reply
}

/** LogOut without parameters ends the session of this tool. */
function withSessionToEnd(
  api: ApiDescription,
  words: readonly string[],
  sessionUuid: string | undefined,
): readonly string[] {
  if (api.name !== 'LogOut' || sessionUuid === undefined) return words
  return words.some((word) => word.startsWith('sessionUuid='))
    ? words
    : [...words, `sessionUuid=${sessionUuid}`]
}

function isSessionOver({ body }: ApiFailure): boolean {
  return body.code === 'ID.1001' || body.details?.includes('Session expired') === true
}

async function keepSession(
  home: CliHome,
  apiName: string,
  content: Readonly<Record<string, unknown>>,
  reply: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (apiName === 'LogOut') return home.dropSession()
  const uuid = (reply.inventory as { uuid?: unknown } | undefined)?.uuid
  if (!LOGINS.includes(apiName) || typeof uuid !== 'string') return
  const accountName = String(content.accountName ?? content.username ?? '')
  await home.writeSession({ uuid, accountName, userName: String(content.userName ?? '') })
}

function print(deps: CliDeps, api: ApiDescription, reply: Readonly<Record<string, unknown>>): void {
  const { terminal, say } = deps
  const { inventories, inventory, total } = reply
  if (deps.isTable && Array.isArray(inventories)) {
    const table = formatTable(inventories.filter(isRecord), terminal.columns)
    if (table !== '') terminal.out(table)
    const shown = inventories.length
    terminal.err(`${typeof total === 'number' ? say('rowsOf', shown, total) : say('rows', shown)}\n`)
    return
  }
  const isRecordWanted = deps.isTable && isRecord(inventory) && api.kind !== 'query'
  terminal.out(isRecordWanted ? formatRecord(inventory) : JSON.stringify(reply, null, 4))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
