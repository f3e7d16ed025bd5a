import type { ClusterBus, ClusterRoutes, Ring } from '#bus'
import { defineMessage } from '#contract'
import type { Database } from '#db'
import {
  CloudError,
  clusterErrors,
  type Disposable,
  describeError,
  type KeyedQueues,
  type Logger,
} from '#kernel'
import { type Member, Membership, type View } from './membership.ts'
import { Ownership } from './ownership.ts'

/** The management nodes that work on one database, as one of them sees them. */
export interface Cluster extends ClusterRoutes, Disposable {
  readonly epoch: number
  /** The run of this node; rows it writes about its work carry it. */
  readonly incarnation: number
  readonly members: readonly Member[]
  readonly ring: Ring
  owns(key: string): boolean
  isAlive(nodeUuid: string, incarnation: number): boolean
  /** Throws CLUSTER.1004 when the node has been silent for so long that others may take it for dead. */
  requireMembership(): void
  /** Looks who is in the cluster now; throws CLUSTER.1004 when this node is not. */
  refresh(): Promise<void>
  /** Makes this run a member, which is asked and asks from now on; nothing is owned before. */
  join(bus: ClusterBus | undefined, onNews: (name: string, data: unknown) => void): Promise<void>
  /** Resolves when this node may work on all that is its own. */
  settled(): Promise<void>
  /** New work goes to the others from now on. */
  announceLeave(): Promise<void>
  leave(): Promise<void>
  /** After each change. What it fails with is logged under the name of what it is for; it is nobody else's. */
  onChange(what: string, listener: Listener): void
}

type Listener = (view: View, gone: readonly Member[]) => void | Promise<void>

export interface ClusterOptions {
  readonly db: Database
  readonly node: { readonly uuid: string; readonly address: string }
  readonly queues: KeyedQueues
  readonly log: Logger
  /** True for a node that has its database for itself. */
  readonly isAlone: boolean
  readonly heartbeatMs?: number
  readonly takeOver: (view: View) => Promise<void>
  readonly onFenced: (reason: string) => void
}

// Both are asked again until the other node has answered or is dead.
const lingering = defineMessage<{ epoch: number; asker: string }, string[]>('cluster.lingering', undefined, {
  timeoutMs: 10_000,
})
/** Answered when the work on the key has ended, which may take a while. */
const released = defineMessage<{ key: string }, void>('cluster.released', undefined, { timeoutMs: 300_000 })
const changed = 'cluster.changed'

// Shorter than it takes the others to declare a silent node dead.
const SILENCE_MS = 4_500

export function createCluster(options: ClusterOptions): Cluster {
  return new ClusterNode(options)
}

/** Keeps membership, ownership and bus of one node in step. */
class ClusterNode implements Cluster {
  readonly self: string
  readonly #options: ClusterOptions
  readonly #membership: Membership
  readonly #ownership: Ownership
  readonly #listeners = new Map<string, Listener>()
  #bus: ClusterBus | undefined
  #known: readonly Member[] = []
  /** Before the node takes part it can neither ask the others nor take anything over. */
  #waiting: View[] | undefined = []

  constructor(options: ClusterOptions) {
    const { node, queues, log, heartbeatMs } = options
    this.self = node.uuid
    this.#options = options
    this.#ownership = new Ownership({
      self: node.uuid,
      queues,
      log,
      takeOver: options.takeOver,
      handOver: {
        lingering: (to, epoch) => this.#reach().callNode(to, lingering, { epoch, asker: node.uuid }),
        released: (to, key) => this.#reach().callNode(to, released, { key }),
      },
    })
    this.#membership = new Membership({
      ...options,
      ...(heartbeatMs === undefined ? {} : { intervalMs: heartbeatMs }),
      onView: (view) => {
        if (this.#waiting === undefined) this.#apply(view)
        else this.#waiting.push(view)
      },
    })
  }

  get epoch(): number {
    return this.#membership.view.epoch
  }

  get incarnation(): number {
    return this.#membership.incarnation
  }

  get members(): readonly Member[] {
    return this.#membership.view.members
  }

  get ring(): Ring {
    return this.#membership.view.ring
  }

  readonly ownerOf = (key: string): string => this.#ownership.ownerOf(key)
  readonly owns = (key: string): boolean => this.#ownership.owns(key)
  readonly admit = (key: string): Promise<void> | undefined => this.#ownership.admit(key)
  readonly isAlive = (uuid: string, incarnation: number): boolean =>
    this.#membership.isAlive(uuid, incarnation)

  requireMembership(): void {
    const silentForMs = this.#membership.silentForMs
    if (this.#options.isAlone || silentForMs < SILENCE_MS) return
    const details = `this management node could not renew its membership for ${Math.round(silentForMs / 1000)} s; it begins nothing until it has`
    throw new CloudError(clusterErrors.fenced, details)
  }

  refresh(): Promise<void> {
    return this.#membership.refresh()
  }

  async join(bus: ClusterBus | undefined, onNews: (name: string, data: unknown) => void): Promise<void> {
    this.#bus = bus
    // Listening first: as soon as the others know of this run they ask it.
    if (bus !== undefined) await this.#listen(bus, onNews)
    await this.#membership.join()
    bus?.begin(this.incarnation)
    for (const view of this.#waiting ?? []) this.#apply(view)
    this.#waiting = undefined
  }

  settled(): Promise<void> {
    return this.#ownership.settled
  }

  runOf(node: string): number | undefined {
    return this.members.find((member) => member.uuid === node)?.incarnation
  }

  announceLeave(): Promise<void> {
    return this.#membership.announceLeave()
  }

  leave(): Promise<void> {
    return this.#membership.leave()
  }

  onChange(what: string, listener: Listener): void {
    this.#listeners.set(what, listener)
  }

  dispose(): void {
    this.#membership.stop()
    this.#ownership.stop()
  }

  async #listen(bus: ClusterBus, onNews: (name: string, data: unknown) => void): Promise<void> {
    bus.serve(lingering, async ({ epoch, asker }) => {
      await this.#follow(epoch)
      return this.#ownership.lingeringFor(asker)
    })
    bus.serve(released, ({ key }) => this.#options.queues.idle(key))
    await bus.open((name, data) => {
      if (name !== changed) return onNews(name, data)
      // When it fails the next heartbeat tells.
      this.#follow((data as { epoch: number }).epoch).catch(() => undefined)
    })
  }

  #apply(view: View): void {
    const { log } = this.#options
    const gone = this.#known.filter((m) => !view.members.some((n) => isSameRun(m, n)))
    this.#known = view.members
    this.#ownership.apply(view)
    for (const { uuid, incarnation } of gone) this.#bus?.nodeGone(uuid, incarnation)
    for (const [what, listener] of this.#listeners) {
      const told = async () => listener(view, gone)
      told().catch((error) =>
        log.warn({ err: describeError(error) }, `after a change of the cluster: ${what} failed`),
      )
    }
    const members = view.members.map((m) => m.hostName)
    log.info({ epoch: view.epoch, members }, 'the members of the cluster')
    // When it fails the others see it at their next heartbeat.
    this.#bus?.tell(changed, { epoch: view.epoch }).catch(() => undefined)
  }

  /** Makes sure that this node knows an epoch another one told of. */
  async #follow(epoch: number): Promise<void> {
    // A look that is under way may have begun before the change.
    for (let looks = 0; looks < 2 && this.epoch < epoch; looks += 1) await this.#membership.refresh()
    if (this.epoch >= epoch) return
    throw new CloudError(clusterErrors.ownerMoved, `the epoch ${epoch} is not in the database`)
  }

  #reach(): ClusterBus {
    if (this.#bus !== undefined) return this.#bus
    const details = 'another management node uses this database, but this one was given no message broker'
    throw new CloudError(clusterErrors.ownerMoved, details)
  }
}

function isSameRun(a: Member, b: Member): boolean {
  return a.uuid === b.uuid && a.incarnation === b.incarnation
}
