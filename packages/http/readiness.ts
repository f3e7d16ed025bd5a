import type { Api } from '#contract'
import { describeError } from '#kernel'
import type { Dispatcher, ReadinessCheck } from '#plugin-host'
import { type HttpReply, jsonReply } from './reply.ts'

const LIMIT_MS = 2_000

/** Answers `/readyz`: 200 when the node serves and nothing stands against it, else 503; always with the word of each check. */
export async function readiness(
  dispatcher: Dispatcher,
  checks: readonly ReadinessCheck[],
): Promise<HttpReply> {
  const all = [{ name: 'node', check: () => nodeReason(dispatcher) }, ...checks]
  const reasons = await Promise.all(all.map(reasonOf))
  const ready = reasons.every((reason) => reason === undefined)
  const told = Object.fromEntries(all.map(({ name }, i) => [name, reasons[i] ?? 'ok']))
  return jsonReply(ready ? 200 : 503, { ready, checks: told })
}

/** Until it serves, and again when it stops, the dispatcher refuses every API. */
async function nodeReason(dispatcher: Dispatcher): Promise<string | undefined> {
  const api: Api | undefined = dispatcher.apis.find(({ name }) => name === 'IsReadyToGo')
  if (api === undefined) return 'no plugin tells whether this node is ready'
  await dispatcher.call({ api, params: {} })
  return undefined
}

async function reasonOf({ check }: ReadinessCheck): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${LIMIT_MS} ms`), LIMIT_MS)
  })
  try {
    return await Promise.race([check(), late])
  } catch (error) {
    return describeError(error)
  } finally {
    clearTimeout(timer)
  }
}
