import type { Plugin } from './plugin.ts'

/** Sorts plugins so that each comes after what it needs. Throws naming what is missing or circular. */
export function inOrder(plugins: readonly Plugin[]): Plugin[] {
  const byName = new Map(plugins.map((p) => [p.name, p]))
  const twice = plugins.find((p) => byName.get(p.name) !== p)
  if (twice !== undefined) throw new Error(`two plugins are named ${twice.name}`)
  const done = new Set<string>()
  const out: Plugin[] = []
  const visit = (plugin: Plugin, trail: readonly string[]): void => {
    if (done.has(plugin.name)) return
    if (trail.includes(plugin.name))
      throw new Error(`plugins need each other in a circle: ${[...trail, plugin.name].join(' -> ')}`)
    for (const need of plugin.needs) {
      const needed = byName.get(need)
      if (needed === undefined)
        throw new Error(`plugin ${plugin.name} needs ${need}, which is not in the list of plugins`)
      visit(needed, [...trail, plugin.name])
    }
    done.add(plugin.name)
    out.push(plugin)
  }
  for (const plugin of plugins) visit(plugin, [])
  return out
}
