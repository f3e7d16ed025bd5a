import { type Api, isObject, list, optional, parse, text } from '#contract'
import { CloudError, isUuid, sysErrors, uuidTaken } from '#kernel'
import type { QueryEngine } from '#query'

/** Every API accepts these beside its own parameters. */
const commonInput = {
  systemTags: optional(list('System tags.', text('Tag.', { max: 1_500_000 }))),
  userTags: optional(list('User tags.', text('Tag.'))),
  resourceUuid: optional(text('Uuid the new resource gets.', { max: 32 })),
}

/** A client that chooses the uuid of what it creates must choose one that names nothing of that kind. */
export async function refuseTakenUuid(
  queries: QueryEngine,
  api: Api,
  input: Record<string, unknown>,
): Promise<void> {
  const uuid = input.resourceUuid
  const resource = queries.registry.byInventory(api.output.inventory?.constraints.structName ?? '')
  if (typeof uuid !== 'string' || resource === undefined || 'resourceUuid' in api.input) return
  if ((await queries.missing(resource, [uuid])).length === 0) throw uuidTaken(resource.name, uuid)
}

/** The parameters as the API declares them, with its defaults; throws SYS.1007 and names the field. */
export function checkedInput(api: Api, params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (!isObject(params))
    throw new CloudError(sysErrors.invalidArgument, `the parameters of ${api.name} must be an object`)
  const input: Record<string, unknown> = {
    ...parse(commonInput, params, api.name),
    ...parse(api.input, params, api.name),
  }
  if (
    typeof input.resourceUuid === 'string' &&
    !('resourceUuid' in api.input) &&
    !isUuid(input.resourceUuid)
  ) {
    const details = `field[resourceUuid] of ${api.name} must be a version 1 to 5 uuid without dashes, got '${input.resourceUuid}'`
    throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'resourceUuid' } })
  }
  return input
}

/** Throws SYS.1003 when a uuid names nothing; true when that is no error because the call would delete it. */
export async function refersToNothing(
  queries: QueryEngine,
  api: Api,
  input: Record<string, unknown>,
): Promise<boolean> {
  for (const [name, field] of Object.entries(api.input)) {
    const voName = field.constraints.resource ?? field.constraints.element?.constraints.resource
    const value = input[name]
    const resource = voName === undefined ? undefined : queries.registry.byVoName(voName)
    if (resource === undefined || value === undefined) continue
    const missing = await queries.missing(resource, Array.isArray(value) ? value : [String(value)])
    if (missing.length === 0) continue
    if (field.constraints.successIfMissing === true && isUuid(String(value))) return true
    const details = `field[${name}] of ${api.name} names a ${resource.name} that does not exist: ${missing.join(', ')}`
    throw new CloudError(sysErrors.resourceNotFound, details, { opaque: { field: name } })
  }
  return false
}

/** True when what the call deletes is gone by now. */
export async function goneMeanwhile(
  queries: QueryEngine,
  api: Api,
  input: Record<string, unknown>,
): Promise<boolean> {
  const deletes = Object.values(api.input).some((field) => field.constraints.successIfMissing === true)
  return deletes && (await refersToNothing(queries, api, input))
}
