import { defineEvent } from '#bus'
import { type ConfigDefinition, parse, type Row } from '#contract'
import { find, insert, update } from '#db'
import { CloudError, describeError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { nearest } from '#query'
import { updateGlobalConfig } from './contract/apis.ts'
import { globalConfig } from './contract/resources.ts'

const configChanged = defineEvent<{ category: string; name: string }>('globalConfig.changed')

export function handleGlobalConfigs(ctx: PluginContext): void {
  ctx.handle(updateGlobalConfig, async ({ category, name, value }) => {
    const definition = requireDefinition(ctx, category, name)
    const next = value === undefined ? definition.defaultValue : read(definition, value)
    const patch = { value: String(next) }
    await ctx.db.write((tx) => update(tx, globalConfig, { category, name }, patch))
    await ctx.config.set(category, name, next)
    ctx.events.emitElsewhere(configChanged, { category, name })
    const [row] = await find(ctx.db, globalConfig, { category, name })
    return { inventory: row }
  })
}

/** Takes over what another node changed. What could not be told is seen at the next look at all. */
export function followGlobalConfigs(ctx: PluginContext): void {
  ctx.events.on(configChanged, async ({ category, name }) => {
    const [row] = await find(ctx.db, globalConfig, { category, name })
    if (row !== undefined) await takeStored(ctx, row)
  })
}

/** Brings all that is stored into memory. */
export async function reloadGlobalConfigs(ctx: PluginContext): Promise<void> {
  for (const row of await find(ctx.db, globalConfig, {})) await takeStored(ctx, row)
}

async function takeStored(ctx: PluginContext, row: Row<typeof globalConfig>): Promise<void> {
  const { category, name, value } = row
  const definition = ctx.config.definitions().find((d) => d.category === category && d.name === name)
  // One of a plugin that is not loaded.
  if (definition !== undefined) await ctx.config.set(category, name, readStored(ctx, definition, value))
}

/** Gives every declared configuration its row, and brings stored values into memory. */
export async function loadGlobalConfigs(ctx: PluginContext): Promise<void> {
  await ctx.db.write(async (tx) => {
    const rows = await find(tx, globalConfig, {})
    const stored = new Set(rows.map((row) => `${row.category}.${row.name}`))
    let id = rows.reduce((max, row) => Math.max(max, row.id), 0)
    for (const { category, name, description, defaultValue } of ctx.config.definitions()) {
      if (stored.has(`${category}.${name}`)) continue
      id += 1
      const value = String(defaultValue)
      await insert(tx, globalConfig, { id, category, name, description, defaultValue: value, value })
    }
  })
  await reloadGlobalConfigs(ctx)
}

function read(definition: ConfigDefinition, value: string): unknown {
  const owner = `the global configuration ${definition.category}.${definition.name}`
  return parse({ value: definition.field }, { value }, owner).value
}

/** A value a later version does not allow any more must not keep the cloud from starting: the default counts instead. */
function readStored(ctx: PluginContext, definition: ConfigDefinition, value: string): unknown {
  try {
    return read(definition, value)
  } catch (error) {
    ctx.log.warn(
      { err: describeError(error) },
      'a stored global configuration is not valid; its default counts',
    )
    return definition.defaultValue
  }
}

function requireDefinition(ctx: PluginContext, category: string, name: string): ConfigDefinition {
  const all = ctx.config.definitions()
  const found = all.find((d) => d.category === category && d.name === name)
  if (found !== undefined) return found
  const guess = nearest(
    `${category}.${name}`,
    all.map((d) => `${d.category}.${d.name}`),
  )
  const hint = guess === undefined ? 'see QueryGlobalConfig' : `did you mean '${guess}'?`
  throw new CloudError(
    sysErrors.resourceNotFound,
    `there is no global configuration '${category}.${name}'; ${hint}`,
  )
}
