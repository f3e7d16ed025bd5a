import { defineMessage } from '#contract'

/** Puts the tags a creation carried on the new resource; refuses malformed system tags before anything is changed. */
export const checkTags = defineMessage<
  { resourceType: string; systemTags?: readonly string[] | undefined },
  void
>('tag.check')
export const addTags = defineMessage<
  {
    resourceType: string
    resourceUuid: string
    systemTags?: readonly string[] | undefined
    userTags?: readonly string[] | undefined
  },
  void
>('tag.add')
/** Removes every tag of a resource. */
export const removeTags = defineMessage<{ resourceUuid: string }, void>('tag.remove')
/** Removes one system tag of a resource. None is fine. */
export const removeSystemTag = defineMessage<{ resourceUuid: string; tag: string }, void>(
  'tag.removeSystemTag',
)
/** System tags of a resource. */
export const systemTagsOf = defineMessage<{ resourceUuid: string }, string[]>('tag.systemTagsOf')
