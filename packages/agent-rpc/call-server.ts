import type { IncomingMessage, ServerResponse } from 'node:http'
import { isObject, parse } from '#contract'
import {
  CloudError,
  describeError,
  type ErrorBody,
  type Logger,
  sysErrors,
  toErrorBody,
  withTask,
} from '#kernel'
import type { AgentCall, AgentHandlers, CallContext } from './call.ts'
import type { CallMemory, CallOutcome } from './call-memory.ts'
import { checkShape } from './check-shape.ts'
import { type EpochGate, parseEpoch } from './epoch-gate.ts'

const MAX_BODY_BYTES = 16 * 1024 * 1024
const MAX_ID_LENGTH = 128

interface Command {
  readonly call: AgentCall
  readonly handle: (input: never, context: CallContext) => Promise<unknown>
}

export interface CallServerParts<Calls extends Readonly<Record<string, AgentCall>>> {
  readonly calls: Calls
  readonly handlers: AgentHandlers<Calls>
  readonly memory: CallMemory
  readonly epochs: EpochGate
  readonly logger: Logger
}

/**
 * Serves `POST /call/<name>`: reads the input, runs the handler once for each call id unless the sender's epoch is too old, and
 * answers newline-delimited JSON: progress lines, then the output or the error.
 */
export function createCallServer<Calls extends Readonly<Record<string, AgentCall>>>({
  calls,
  handlers,
  memory,
  epochs,
  logger,
}: CallServerParts<Calls>): (
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void> {
  const commands = new Map<string, Command>()
  for (const key of Object.keys(calls)) {
    const call = calls[key]
    if (call !== undefined) commands.set(call.name, { call, handle: handlers[key as keyof Calls] })
  }
  return async (name, request, response) => {
    const command = commands.get(name)
    if (command === undefined) {
      throw new CloudError(sysErrors.unknownMessage, `the agent does not know the command ${name}`)
    }
    const callId = headerOf(request, 'x-call-id')
    if (callId === undefined) throw new CloudError(sysErrors.invalidArgument, 'x-call-id is missing')
    const taskId = headerOf(request, 'x-task-id')
    const gone = new AbortController()
    response.once('close', () => gone.abort(new Error('the caller has gone')))
    const epoch = parseEpoch(headerOf(request, 'x-cluster-epoch'))
    const raw = await readBody(request, name)
    // After the body, however long that took: from here to the handler nothing else can come between.
    await epochs.admit(epoch, name)
    response.setHeader('content-type', 'application/x-ndjson')
    const waiter = { gone: gone.signal, progress: progressWriter(response) }
    const outcome = await memory.run(`${name} ${callId}`, waiter, (signal, progress) =>
      asTask(command.call.name, { callId, taskId, epoch, signal, progress }, (context) =>
        runLogged(command, { raw, logger, context }),
      ),
    )
    if (!response.destroyed) response.end(`${JSON.stringify(outcome)}\n`)
  }
}

/** All that is logged meanwhile, by whatever the handler uses, names the API call the command is part of. */
function asTask<T>(
  name: string,
  context: CallContext,
  work: (context: CallContext) => Promise<T>,
): Promise<T> {
  const { taskId: id, signal } = context
  if (id === undefined) return work(context)
  const progress = (percent: number | undefined) => {
    if (percent !== undefined) context.progress(percent)
  }
  return withTask({ id, name, signal, progress }, () => work(context))
}

async function runLogged(
  command: Command,
  run: { readonly raw: unknown; readonly context: CallContext; readonly logger: Logger },
): Promise<CallOutcome> {
  const { context, logger } = run
  const startedAt = performance.now()
  const outcome = await runCommand(command, run.raw, context).catch((error: unknown) => ({ failure: error }))
  const ms = Math.round(performance.now() - startedAt)
  const fields = { call: command.call.name, callId: context.callId, taskId: context.taskId, ms }
  if (!('failure' in outcome)) {
    logger.info({ ...fields, outcome: 'ok' }, 'call')
    return outcome
  }
  const { failure } = outcome
  const word = context.signal.aborted ? 'aborted' : failure instanceof CloudError ? failure.code : 'bug'
  // A stack is worth its lines only where nobody foresaw the error.
  const stack = failure instanceof Error && !(failure instanceof CloudError) ? { stack: failure.stack } : {}
  logger.warn({ ...fields, outcome: word, reason: describeError(failure), ...stack }, 'call')
  return { error: bodyFor(context.taskId, failure) }
}

/** The error as it is told, with the task it belongs to, so that both sides' logs are found from either. */
function bodyFor(taskId: string | undefined, failure: unknown): ErrorBody {
  const body = toErrorBody(failure)
  return taskId === undefined ? body : { ...body, opaque: { ...body.opaque, taskId } }
}

async function runCommand(command: Command, raw: unknown, context: CallContext): Promise<CallOutcome> {
  const { name, input, output } = command.call
  if (!isObject(raw)) throw new CloudError(sysErrors.invalidArgument, `the input of ${name} is not an object`)
  // The commands are stored without their types; parse makes the input what this handler was declared with.
  const result = await command.handle(parse(input, raw, name) as never, context)
  checkShape(output, result, `the agent's answer to ${name} is not what was declared`)
  return { output: result }
}

/** Whole percents, each at most once. */
function progressWriter(response: ServerResponse): (percent: number) => void {
  let last = -1
  return (percent) => {
    const whole = Math.min(100, Math.max(0, Math.floor(percent)))
    if (whole === last || response.destroyed || response.writableEnded) return
    last = whole
    response.write(`{"progress":${whole}}\n`)
  }
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  if (typeof value !== 'string' || value === '') return undefined
  if (value.length > MAX_ID_LENGTH) throw new CloudError(sysErrors.invalidArgument, `${name} is too long`)
  return value
}

async function readBody(request: IncomingMessage, name: string): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) {
      throw new CloudError(
        sysErrors.invalidArgument,
        `the input of ${name} is larger than ${MAX_BODY_BYTES} bytes`,
      )
    }
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw new CloudError(sysErrors.invalidArgument, `the input of ${name} is not JSON`, { cause })
  }
}
