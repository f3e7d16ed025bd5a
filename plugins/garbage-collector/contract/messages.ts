import { defineMessage } from '#contract'

/** Something that holds back nobody, and could not be removed because its machine is away. */
export interface Garbage {
  /** What is left and where, for people: `the agent of the host web1 at 10.0.0.7`. */
  readonly name: string
  /** Type of the `garbageType` driver that removes it. */
  readonly type: string
  /** What it is about. A repeat with the same type and subject takes the place of the job that is there. */
  readonly subject: string
  /** All the driver needs, shown to people as JSON. */
  readonly context: Readonly<Record<string, unknown>>
  /** What the driver needs and nobody may see, sealed by a SecretBox. */
  readonly sealed?: string
  /** The host it lies on: tried when that is connected again. */
  readonly hostUuid?: string
  /** Address of a machine that is no host any more: tried when a host at this address is connected, and from time to time. */
  readonly address?: string
}

/**
 * Has something removed later. Only for what holds back nobody: a rollback that cannot reach its host throws instead, and is tried
 * again with all that depends on it.
 */
export const submitGarbage = defineMessage<Garbage, { uuid: string }>('garbage.submit')
