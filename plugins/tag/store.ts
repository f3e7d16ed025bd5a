import { find, insert, remove, type Tx } from '#db'
import { CloudError, newOrderedUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { matchTag, systemTagPattern } from './contract/extensions.ts'
import { type SystemTag, systemTag, userTag } from './contract/resources.ts'

export interface NewTag {
  readonly uuid: string
  readonly resourceType: string
  readonly resourceUuid: string
  readonly tag: string
}

export async function insertUserTag(tx: Tx, tag: NewTag): Promise<void> {
  const now = Date.now()
  await insert(tx, userTag, { ...tag, type: 'User', createDate: now, lastOpDate: now })
}

/** Adds a system tag unless the resource has the very same one. */
export async function insertSystemTag(tx: Tx, tag: NewTag): Promise<void> {
  const { resourceUuid } = tag
  const present = await find(tx, systemTag, { resourceUuid, tag: tag.tag })
  if (present.length > 0) return
  const now = Date.now()
  await insert(tx, systemTag, { ...tag, type: 'System', inherent: false, createDate: now, lastOpDate: now })
}

export async function insertTags(
  tx: Tx,
  owner: { resourceType: string; resourceUuid: string },
  tags: { systemTags?: readonly string[] | undefined; userTags?: readonly string[] | undefined },
): Promise<void> {
  for (const tag of tags.systemTags ?? [])
    await insertSystemTag(tx, { uuid: newOrderedUuid(), ...owner, tag })
  for (const tag of tags.userTags ?? []) await insertUserTag(tx, { uuid: newOrderedUuid(), ...owner, tag })
}

export async function removeTagsOf(tx: Tx, resourceUuid: string): Promise<void> {
  await remove(tx, systemTag, { resourceUuid })
  await remove(tx, userTag, { resourceUuid })
}

/**
 * Refuses a system tag no loaded plugin understands on this kind of resource, or whose value its plugin refuses.
 * A typing mistake would otherwise silently do nothing.
 */
export function checkSystemTags(
  ctx: Pick<PluginContext, 'hooks'>,
  resourceType: string,
  tags: readonly string[],
): void {
  const patterns = ctx.hooks(systemTagPattern).filter((p) => p.resourceType === resourceType)
  for (const tag of tags) {
    if (tag === 'validationOnly') continue
    const fits = patterns.flatMap((pattern) => {
      const tokens = matchTag(pattern.pattern, tag)
      return tokens === undefined ? [] : [{ pattern, tokens }]
    })
    if (fits.length === 0) {
      const known = patterns.map((p) => p.pattern).join(', ') || 'none'
      const shown = tag.length > 80 ? `${tag.slice(0, 80)}…` : tag
      throw new CloudError(
        sysErrors.invalidArgument,
        `no system tag of ${resourceType} looks like '${shown}'; known: ${known}`,
        {
          opaque: { field: 'systemTags' },
        },
      )
    }
    for (const { pattern, tokens } of fits) pattern.validate?.(tokens)
  }
}

/** Refuses to turn a tag into one of another pattern, which would end one effect and begin another. */
export function requireSamePattern(ctx: Pick<PluginContext, 'hooks'>, row: SystemTag, tag: string): void {
  const patterns = ctx.hooks(systemTagPattern).filter((p) => p.resourceType === row.resourceType)
  const own = patterns.filter((p) => matchTag(p.pattern, row.tag) !== undefined)
  if (own.length === 0 || own.some((p) => matchTag(p.pattern, tag) !== undefined)) return
  const details = `field[tag] of UpdateSystemTag must stay a tag like '${own[0]?.pattern}'; create another tag instead`
  throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'tag' } })
}
