import { CloudError, sysErrors } from '#kernel'

/** A strategy chosen by a type name: one implementation for each name. */
export interface Driver<T> {
  readonly kind: 'driver'
  readonly name: string
  readonly __type?: T
}

/** An observer of a flow: any number of implementations, called in the order their plugins were loaded. */
export interface Hook<T> {
  readonly kind: 'hook'
  readonly name: string
  readonly __type?: T
}

export const defineDriver = <T>(name: string): Driver<T> => ({ kind: 'driver', name })
export const defineHook = <T>(name: string): Hook<T> => ({ kind: 'hook', name })

/** Holds what plugins provide. */
export interface Extensions {
  provide<T>(driver: Driver<T>, type: string, implementation: T): void
  hook<T>(hook: Hook<T>, implementation: T): void
  driver<T>(driver: Driver<T>, type: string): T
  drivers<T>(driver: Driver<T>): ReadonlyMap<string, T>
  hooks<T>(hook: Hook<T>): readonly T[]
}

export function createExtensions(): Extensions {
  const drivers = new Map<string, Map<string, unknown>>()
  const hooks = new Map<string, unknown[]>()
  const driversOf = <T>(driver: Driver<T>): Map<string, T> => {
    const found = drivers.get(driver.name) ?? new Map<string, unknown>()
    drivers.set(driver.name, found)
    return found as Map<string, T>
  }
  return {
    provide: (driver, type, implementation) => {
      if (driversOf(driver).has(type)) throw new Error(`two plugins provide the ${driver.name} ${type}`)
      driversOf(driver).set(type, implementation)
    },
    hook: (hook, implementation) => {
      hooks.set(hook.name, [...(hooks.get(hook.name) ?? []), implementation])
    },
    driver: (driver, type) => {
      const found = driversOf(driver).get(type)
      if (found !== undefined) return found
      const known = [...driversOf(driver).keys()].join(', ') || 'none'
      throw new CloudError(
        sysErrors.noCapability,
        `no plugin provides the ${driver.name} ${type}; known: ${known}`,
      )
    },
    drivers: driversOf,
    hooks: <T>(hook: Hook<T>) => (hooks.get(hook.name) ?? []) as T[],
  }
}
