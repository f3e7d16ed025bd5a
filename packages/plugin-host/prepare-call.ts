import { CloudError, newOrderedUuid, sysErrors } from '#kernel'
import type { ApiRequest, Deps, Registration } from './dispatcher.ts'
import { checkedInput, refersToNothing, refuseTakenUuid } from './request-checks.ts'

/** A call that was looked at and may be served. */
export interface Prepared {
  readonly registration: Registration
  readonly input: Record<string, unknown>
  readonly accountUuid: string
  /** The queue it runs in, which decides the node. */
  readonly key: string | undefined
  /** As it is passed on to another node. */
  readonly request: ApiRequest
  /** The uuid a client chose for what is created; one made here is nobody's yet. */
  readonly chosenUuid: string | undefined
  /** Set when the call has already succeeded: what it would delete is gone. */
  readonly nothingToDo: boolean
}

/** Who asks, is the call sound, does what it names exist. Throws CloudErrors; nothing was changed then. */
export async function prepare(deps: Deps, given: ApiRequest): Promise<Prepared> {
  try {
    return await check(deps, given)
  } catch (error) {
    deps.meters.refused.of(given.api.name).add(0, true)
    throw error
  }
}

async function check(deps: Deps, given: ApiRequest): Promise<Prepared> {
  const { api } = given
  const registration = deps.registrations.get(api.name)
  if (registration === undefined)
    throw new CloudError(sysErrors.unknownMessage, `no loaded plugin serves the API ${api.name}`)
  const reason = deps.notReady()
  if (reason !== undefined) throw new CloudError(sysErrors.notReady, reason)
  const request = registration.options.creates === true ? withUuid(given) : given
  const accountUuid = api.needSession ? (await deps.authenticate(request.sessionUuid)).accountUuid : ''
  const input = checkedInput(api, request.params)
  const nothingToDo = await refersToNothing(deps.queries, api, input)
  // APIs with a member of that name mean an existing resource by it.
  const isChosen = given.params.resourceUuid !== undefined && !('resourceUuid' in api.input)
  const chosenUuid = isChosen ? (input.resourceUuid as string | undefined) : undefined
  if (isChosen) await refuseTakenUuid(deps.queries, api, input)
  const key = nothingToDo ? undefined : await registration.options.key?.(input as never)
  return { registration, input, accountUuid, nothingToDo, request, chosenUuid, key }
}

/** What is to be created has its uuid before it is known which node creates it. */
function withUuid(request: ApiRequest): ApiRequest {
  if (request.params.resourceUuid !== undefined) return request
  return { ...request, params: { ...request.params, resourceUuid: newOrderedUuid() } }
}
