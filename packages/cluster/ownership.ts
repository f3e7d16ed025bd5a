import type { Ring, Routes } from '#bus'
import { CloudError, clusterErrors, describeError, type KeyedQueues, type Logger } from '#kernel'
import type { View } from './membership.ts'

/** What a node asks the others before it works on keys that were theirs. */
export interface HandOver {
  /** Makes sure that `node` knows the epoch, and returns the keys of the asker it still works on. */
  lingering(node: string, epoch: number): Promise<readonly string[]>
  /** Resolves when `node` does not work on the key any more. */
  released(node: string, key: string): Promise<void>
}

export interface OwnershipDeps {
  readonly self: string
  readonly queues: KeyedQueues
  readonly log: Logger
  readonly handOver: HandOver
  /** Puts the recovery of what dead nodes left into the queues of this node's keys; runs before they are opened. */
  readonly takeOver: (view: View) => Promise<void>
}

const ASK_AGAIN_MS = 200

/**
 * Says who owns a key, and when work on it may begin here. A key is open when this node has owned it since the last change that
 * is settled. A change is settled when every other member knows it and dead ones' work is queued; keys that another node still works on
 * open one by one as it ends.
 */
export class Ownership implements Routes {
  readonly self: string
  readonly #deps: OwnershipDeps
  /** The last settled ring and those after it. */
  #rings: Ring[] = []
  readonly #lingering = new Map<string, Promise<void>>()
  #epoch = 0
  /** No change is settled yet: what an earlier run of this node left may not be queued. */
  #isNew = true
  #settled: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(deps: OwnershipDeps) {
    this.self = deps.self
    this.#deps = deps
  }

  ownerOf(key: string): string {
    return this.#rings.at(-1)?.ownerOf(idOf(key)) ?? this.self
  }

  owns(key: string): boolean {
    return this.ownerOf(key) === this.self
  }

  /** Resolves when the last change is settled. */
  get settled(): Promise<void> {
    return this.#settled
  }

  admit(key: string): Promise<void> | undefined {
    if (this.#isOpen(key)) return undefined
    if (!this.owns(key)) return undefined
    return this.#whenOpen(key)
  }

  /** Keys of `owner` that this node still works on. */
  lingeringFor(owner: string): string[] {
    return this.#deps.queues.keys().filter((key) => this.ownerOf(key) === owner)
  }

  apply(view: View): void {
    this.#epoch = view.epoch
    this.#rings.push(view.ring)
    this.#settled = this.#settle(view)
  }

  stop(): void {
    this.#stopped = true
  }

  #isOpen(key: string): boolean {
    // Before it joins nobody asks it for anything, and it owns all it asks itself for.
    if (this.#isNew) return this.#rings.length === 0
    if (this.#rings.length === 1 && this.#lingering.size === 0) return true
    const id = idOf(key)
    return !this.#lingering.has(key) && this.#rings.every((ring) => ring.ownerOf(id) === this.self)
  }

  async #whenOpen(key: string): Promise<void> {
    while (this.owns(key) && !this.#isOpen(key)) {
      const settled = this.#settled
      await settled
      await this.#lingering.get(key)
    }
  }

  async #settle(view: View): Promise<void> {
    const others = view.members.filter(({ uuid }) => uuid !== this.self)
    const isCurrent = () => this.#epoch === view.epoch && !this.#stopped
    const answers = Promise.all(others.map(({ uuid }) => this.#ask(uuid, view.epoch, isCurrent)))
    await this.#takeOver(view, isCurrent)
    await answers
    if (!isCurrent()) return
    this.#rings = [view.ring]
    this.#isNew = false
  }

  async #ask(node: string, epoch: number, isCurrent: () => boolean): Promise<void> {
    const { handOver, log } = this.#deps
    while (isCurrent()) {
      try {
        const keys = await handOver.lingering(node, epoch)
        for (const key of keys) this.#linger(node, key)
        return
      } catch (error) {
        log.debug({ node, epoch, err: describeError(error) }, 'a node does not know the new epoch yet')
        await pause()
      }
    }
  }

  async #takeOver(view: View, isCurrent: () => boolean): Promise<void> {
    while (isCurrent()) {
      try {
        return await this.#deps.takeOver(view)
      } catch (error) {
        this.#deps.log.warn(
          { err: describeError(error) },
          'the work of dead nodes could not be taken over yet',
        )
        await pause()
      }
    }
  }

  /** The key stays closed until the other has ended its work on it, or is dead and what it left is queued. */
  #linger(node: string, key: string): void {
    const released = this.#untilReleased(node, key).finally(() => {
      if (this.#lingering.get(key) === released) this.#lingering.delete(key)
    })
    this.#lingering.set(key, released)
  }

  async #untilReleased(node: string, key: string): Promise<void> {
    while (!this.#stopped) {
      try {
        return await this.#deps.handOver.released(node, key)
      } catch (error) {
        // The change that took it from the cluster is under way by now.
        if (isNodeGone(error)) return this.#settled
        this.#deps.log.debug({ node, key, err: describeError(error) }, 'a hand-over is asked for again')
        await pause()
      }
    }
  }
}

/** What all keys of one object have in common: `vm:5f…` and `connect:5f…`. */
export function idOf(key: string): string {
  return key.slice(key.indexOf(':') + 1)
}

/** Another node tells when it is asked; nothing else tells that it can be. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS).unref())
}

function isNodeGone(error: unknown): boolean {
  return error instanceof CloudError && error.code === clusterErrors.nodeGone.code
}
