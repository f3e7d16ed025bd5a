import { isObject } from '#contract'

interface LockEntry {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
}

/**
 * The directories (`node_modules/pino`, also nested ones) of `names` and all they depend on, by package-lock.json.
 * Optional dependencies count when they are for `platform`. Throws when one is not in the lock file.
 */
export function findPackages(
  lock: Readonly<Record<string, unknown>>,
  names: readonly string[],
  platform: { readonly os: string; readonly cpu: string },
): string[] {
  const entries = (isObject(lock.packages) ? lock.packages : {}) as Record<string, LockEntry>
  const found = new Set<string>()
  const add = (from: string, name: string, isOptional: boolean) => {
    const directory = resolve(entries, from, name)
    const entry = entries[directory ?? '']
    if (directory === undefined || entry === undefined) return demandOptional(isOptional, name, from)
    if (found.has(directory) || (isOptional && !isFor(entry, platform))) return
    found.add(directory)
    for (const dependency of Object.keys(entry.dependencies ?? {})) add(directory, dependency, false)
    for (const dependency of Object.keys(entry.optionalDependencies ?? {})) add(directory, dependency, true)
  }
  for (const name of names) add('', name, false)
  return [...found]
}

function demandOptional(isOptional: boolean, name: string, from: string): void {
  if (!isOptional) throw new Error(`package-lock.json has no ${name}, which ${from || 'the agent'} needs`)
}

/** As Node looks: in the package's own node_modules, then upwards. */
function resolve(entries: Record<string, LockEntry>, from: string, name: string): string | undefined {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    const candidate = base === '' ? `node_modules/${name}` : `${base}/node_modules/${name}`
    if (candidate in entries) return candidate
    if (base === '') return undefined
  }
}

function isFor(entry: LockEntry, platform: { readonly os: string; readonly cpu: string }): boolean {
  return (entry.os?.includes(platform.os) ?? true) && (entry.cpu?.includes(platform.cpu) ?? true)
}
