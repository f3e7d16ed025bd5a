import type { Connection, OnWait } from './connection.ts'
import type { ServerContract } from './contract.ts'
import { ApiFailure, ServerFailure } from './failure.ts'
import { harmless, type Terminal } from './terminal.ts'
import type { Say } from './texts.ts'

export interface Progress {
  readonly onWait: OnWait | undefined
  /** Takes the progress line away. */
  clear(): void
}

interface TaskProgress {
  readonly type?: string
  readonly content?: unknown
}

const SHOW_AFTER_MS = 1_000

/** Shows what a long job is doing on one line of the error output, when a person watches it. */
export function showProgress(
  deps: { connection: Connection; contract: ServerContract; terminal: Terminal; say: Say },
  sessionUuid: string | undefined,
): Progress {
  const { connection, contract, terminal, say } = deps
  const api = contract.apis.find(({ name }) => name === 'GetTaskProgress')
  let isShown = false
  const clear = () => {
    if (isShown) terminal.err('\r\u001b[K')
    isShown = false
  }
  const onWait: OnWait = async (jobUuid, elapsedMs) => {
    if (elapsedMs < SHOW_AFTER_MS) return
    const content = { apiId: jobUuid, session: { uuid: sessionUuid } }
    const told = api === undefined ? '' : await ask(connection, { message: api.message, content })
    terminal.err(`\r\u001b[K${say('running')} ${Math.round(elapsedMs / 1000)} s  ${told}`)
    isShown = true
  }
  return { onWait: terminal.isWatched ? onWait : undefined, clear }
}

async function ask(connection: Connection, request: Parameters<Connection['send']>[1]): Promise<string> {
  try {
    const { inventories } = await connection.send('GetTaskProgress', request)
    const last = (Array.isArray(inventories) ? inventories : []).at(-1) as TaskProgress | undefined
    if (last?.content === undefined) return ''
    return harmless(`${last.content}${last.type === 'Progress' ? '%' : ''}`).slice(0, 60)
  } catch (error) {
    // Progress is a comfort: the job itself tells when something is wrong.
    if (error instanceof ApiFailure || error instanceof ServerFailure) return ''
    throw error
  }
}
