import type { TagInput } from '#contract'
import type { PluginContext } from '#plugin-host'
import { addTags, checkTags } from './messages.ts'

/** Puts the tags a creation carried on the resource it made. Refuses malformed ones before `create` runs. */
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
  await context.bus.call(addTags, {
    resourceType: resource.type,
    resourceUuid: resource.uuid,
    systemTags,
    userTags,
  })
  return made
}
