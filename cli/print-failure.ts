import { type ApiErrorBody, ApiFailure, ServerFailure, UsageError } from './failure.ts'
import { harmless, type Terminal } from './terminal.ts'
import type { Say } from './texts.ts'

export const exitCodes = { good: 0, usage: 1, failed: 3 } as const

/** Tells what went wrong on the error output and returns the exit code. Bugs are thrown on. */
export function printFailure(error: unknown, terminal: Terminal, say: Say): number {
  if (error instanceof UsageError) {
    terminal.err(`${error.message}\n`)
    return exitCodes.usage
  }
  if (error instanceof ServerFailure) {
    terminal.err(`${harmless(error.message)}\n`)
    return exitCodes.failed
  }
  if (!(error instanceof ApiFailure)) throw error
  terminal.err(`${describe(error, say).join('\n')}\n`)
  return exitCodes.failed
}

function describe({ body, apiName }: ApiFailure, say: Say): string[] {
  const lines = [headline(body), ...details(body)]
  for (let cause = body.cause; cause !== undefined; cause = cause.cause)
    lines.push(`  ${say('causedBy')} ${[headline(cause), ...details(cause)].map((l) => l.trim()).join(': ')}`)
  const advice = adviceFor(body.code, apiName, say)
  return advice === undefined ? lines : [...lines, `  ${say('whatToDo')}: ${advice}`]
}

function headline(body: ApiErrorBody): string {
  return harmless([body.code, body.description].filter((part) => part !== undefined).join(' '))
}

function details(body: ApiErrorBody): string[] {
  return body.details === undefined ? [] : [`  ${harmless(body.details)}`]
}

function adviceFor(code: string, apiName: string, say: Say): string | undefined {
  switch (code) {
    case 'ID.1001':
      return say('adviceSession')
    case 'SYS.1000':
      return say('adviceInternal')
    case 'SYS.1003':
      return say('adviceNotFound')
    case 'SYS.1007':
      return say('adviceArgument', apiName)
    case 'SYS.1010':
      return say('adviceNotReady')
    case 'SYS.1012':
      return say('adviceBusy')
    default:
      return apiName === '' ? say('adviceBusy') : undefined
  }
}
