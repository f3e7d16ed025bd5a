import type { ConfigDefinition } from '#contract'

/** Live values of global configurations. Reading is a map look-up; a change is seen by the next read. */
export interface Config {
  get<T>(definition: ConfigDefinition<T>): T
  definitions(): readonly ConfigDefinition[]
  /** Calls `listener` after the value changed; setting the same value again is no change. */
  onChange<T>(definition: ConfigDefinition<T>, listener: (value: T) => void | Promise<void>): void
  /** Used by the plugin that stores values; everyone else only reads. Ends when every listener has done its part. */
  set(category: string, name: string, value: unknown): Promise<void>
}

type Listener = (value: never) => void | Promise<void>

export function createConfig(definitions: readonly ConfigDefinition[]): Config {
  const values = new Map<string, unknown>()
  const key = (d: { category: string; name: string }) => `${d.category}.${d.name}`
  const listeners = new Map<string, Listener[]>()
  const known = new Map<string, ConfigDefinition>()
  for (const definition of definitions) {
    if (known.has(key(definition)))
      throw new Error(`the global configuration ${key(definition)} is declared twice`)
    known.set(key(definition), definition)
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
      const definition = known.get(key({ category, name }))
      if (definition === undefined)
        throw new Error(`there is no global configuration ${key({ category, name })}`)
      const previous = values.get(key(definition)) ?? definition.defaultValue
      values.set(key(definition), value)
      if (Object.is(previous, value)) return Promise.resolve()
      return tellAll(listeners.get(key(definition)) ?? [], value)
    },
  }
}

/** Every listener hears of it, also after one that threw; what was thrown is thrown afterwards. */
function tellAll(listeners: readonly Listener[], value: unknown): Promise<void> {
  const failures: unknown[] = []
  const working: (void | Promise<void>)[] = []
  for (const listener of listeners) {
    try {
      working.push(listener(value as never))
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0)
    throw new AggregateError(failures, 'a change of a global configuration was refused')
  return Promise.all(working).then(() => undefined)
}
