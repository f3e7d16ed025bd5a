import { defineDriver } from '#plugin-host'

type Context = Readonly<Record<string, unknown>>

/** Removes one kind of garbage. */
export interface GarbageType {
  /**
   * Removes what the context names, or finds that it is gone or is wanted again: ends when nothing is left to do. Throws with the reason
   * when it has to be tried again. May be repeated.
   */
  collect(context: Context, sealed: string | undefined): Promise<void>
}

/** By type of the garbage, `kvm.agent`. */
export const garbageType = defineDriver<GarbageType>('collector of garbage')
