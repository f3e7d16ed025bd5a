import type { TagInput } from '#contract'
import { CloudError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { addTags, checkTags } from './messages.ts'

/**
 * Puts the tags a creation carried on the resource it made. Refuses malformed ones before `create` runs. When the database refuses
 * them afterwards the resource stays, and the error says so.
 */
export async function createWithTags<T>(
  context: Pick<PluginContext, 'bus'>,
  resource: { readonly type: string; readonly uuid: string },
  input: TagInput,
  create: () => Promise<T>,
): Promise<T> {
  const { systemTags, userTags } = input
  if (systemTags === undefined && userTags === undefined) return create()
  await context.bus.call(checkTags, { resourceType: resource.type, systemTags })
  const made = await create()
  const owner = { resourceType: resource.type, resourceUuid: resource.uuid }
  try {
    await context.bus.call(addTags, { ...owner, systemTags, userTags })
  } catch (error) {
    if (!(error instanceof CloudError)) throw error
    const details = `the ${resource.type}[uuid:${resource.uuid}] was made, but its tags were not; add them with CreateSystemTag and CreateUserTag, or delete it`
    throw new CloudError(error, details, { cause: error })
  }
  return made
}
