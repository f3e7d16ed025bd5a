import type { ConfigDefinition } from '#contract'

/** Live values of global configurations. Reading is a map look-up; a change is seen by the next read. */
export interface Config {
  get<T>(definition: ConfigDefinition<T>): T
  definitions(): readonly ConfigDefinition[]
  /** Calls `listener` after the value changed. */
  onChange<T>(definition: ConfigDefinition<T>, listener: (value: T) => void): void
  /** Used by the plugin that stores values; everyone else only reads. */
  set(category: string, name: string, value: unknown): void
}

export function createConfig(definitions: readonly ConfigDefinition[]): Config {
  const values = new Map<string, unknown>()
  const key = (d: { category: string; name: string }) => `${d.category}.${d.name}`
  const listeners = new Map<string, ((value: never) => void)[]>()
  const known = new Set<string>()
  for (const definition of definitions) {
    if (known.has(key(definition)))
      throw new Error(`the global configuration ${key(definition)} is declared twice`)
    known.add(key(definition))
  }
  return {
    get: <T>(definition: ConfigDefinition<T>) => {
      const value = values.get(key(definition))
      return value === undefined ? definition.defaultValue : (value as T)
    },
    definitions: () => definitions,
    onChange: (definition, listener) => {
      listeners.set(key(definition), [...(listeners.get(key(definition)) ?? []), listener as never])
    },
    set: (category, name, value) => {
      values.set(`${category}.${name}`, value)
      for (const listener of listeners.get(`${category}.${name}`) ?? []) listener(value as never)
    },
  }
}
