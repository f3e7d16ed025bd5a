import { type Disposable, describeError, type Logger } from '#kernel'

/** A fact that other parts may want to know; never the way to make them do something. */
export interface EventType<T> {
  readonly name: string
  readonly __data?: T
}

/** Declares an event, named in the past tense: `vm.stateChanged`. */
export function defineEvent<T>(name: string): EventType<T> {
  return { name }
}

export interface Events {
  emit<T>(type: EventType<T>, data: T): void
  on<T>(type: EventType<T>, listener: (data: T) => void | Promise<void>): Disposable
}

/** Delivers events inside one process, after the code that emitted them has gone on. A failing listener is logged. */
export function createEvents(log: Logger): Events {
  const listeners = new Map<string, Set<(data: never) => void | Promise<void>>>()
  const deliver = async (name: string, listener: (data: never) => void | Promise<void>, data: unknown) => {
    // It may have been disposed of since the event was emitted.
    if (listeners.get(name)?.has(listener) !== true) return
    try {
      await listener(data as never)
    } catch (error) {
      log.error({ event: name, err: describeError(error) }, 'an event listener failed')
    }
  }
  return {
    emit: (type, data) => {
      for (const listener of listeners.get(type.name) ?? [])
        queueMicrotask(() => void deliver(type.name, listener, data))
    },
    on: (type, listener) => {
      const set = listeners.get(type.name) ?? new Set()
      listeners.set(type.name, set.add(listener as never))
      return { dispose: () => void set.delete(listener as never) }
    },
  }
}
