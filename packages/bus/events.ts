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
  /** Tells the listeners of the other nodes; data are JSON. One that cannot be reached is not told. */
  emitElsewhere<T>(type: EventType<T>, data: T): void
  /** Delivers what another node emitted. */
  receive(name: string, data: unknown): void
  on<T>(type: EventType<T>, listener: (data: T) => void | Promise<void>): Disposable
}

/**
 * Delivers events inside one process, after the code that emitted them has gone on, and to other nodes by `tell`. A failing listener
 * is logged.
 */
export function createEvents(log: Logger, tell?: (name: string, data: unknown) => Promise<void>): Events {
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
  const receive = (name: string, data: unknown) => {
    for (const listener of listeners.get(name) ?? []) queueMicrotask(() => void deliver(name, listener, data))
  }
  return {
    emit: (type, data) => receive(type.name, data),
    emitElsewhere: (type, data) => {
      tell?.(type.name, data).catch((error) =>
        log.warn({ event: type.name, err: describeError(error) }, 'the other nodes could not be told'),
      )
    },
    receive,
    on: (type, listener) => {
      const set = listeners.get(type.name) ?? new Set()
      listeners.set(type.name, set.add(listener as never))
      return { dispose: () => void set.delete(listener as never) }
    },
  }
}
