import type { AgentEvent } from '#agent-rpc'
import { describeError, type Logger } from '#kernel'
import type { AgentVmState } from '../contract/host.ts'
import type { LibvirtClient } from './client.ts'
import { DeviceNews } from './device-news.ts'
import { listDomains } from './domain.ts'
import { readLifecycleEvent } from './domain-state.ts'
import { type DomainListener, type EventConnection, openEventConnection } from './event-connection.ts'
import { loadLibvirt, type Pointer } from './ffi.ts'

export interface DomainWatchDeps {
  readonly client: LibvirtClient
  readonly logger: Logger
  readonly emit: (event: AgentEvent) => void
}

type Waiter = () => void

const REOPEN_MS = [100, 200, 500, 1000, 2000]

/**
 * Follows the states of our domains by libvirt's events and tells the management each change as `vm.state`. When libvirtd
 * goes away it connects again and tells what changed in between.
 */
export class DomainWatch implements DomainListener {
  /** What became of devices that were asked to go. */
  readonly devices = new DeviceNews()
  readonly #deps: DomainWatchDeps
  readonly #states = new Map<string, AgentVmState>()
  /** Commands of ours that are under way, by VM: their consequences are `byAgent`. */
  readonly #commands = new Map<string, number>()
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #downtimesMs = new Map<string, number>()
  /** VMs with an event since the last connection was made; for those the event is newer than the list. */
  #touched = new Set<string>()
  #events: EventConnection | undefined
  #reopenTimer: NodeJS.Timeout | undefined
  #attempts = 0
  #connecting: Promise<void> = Promise.resolve()
  #disposed = false

  constructor(deps: DomainWatchDeps) {
    this.#deps = deps
  }

  /** Connects; an absent libvirtd is waited for in the background. */
  start(): Promise<void> {
    this.#connecting = this.#connect(true)
    return this.#connecting
  }

  async dispose(): Promise<void> {
    this.#disposed = true
    clearTimeout(this.#reopenTimer)
    await this.#connecting
    await this.#events?.close()
    this.#events = undefined
  }

  /** Runs a command of ours: state changes of this VM meanwhile were not the guest's own idea. */
  async command<T>(vmUuid: string, run: () => Promise<T>): Promise<T> {
    this.#commands.set(vmUuid, (this.#commands.get(vmUuid) ?? 0) + 1)
    try {
      return await run()
    } finally {
      const left = (this.#commands.get(vmUuid) ?? 1) - 1
      if (left > 0) this.#commands.set(vmUuid, left)
      else this.#commands.delete(vmUuid)
    }
  }

  /** Waits until the event of this state has been told, so that an answer never overtakes it; at most `timeoutMs`. */
  async settled(vmUuid: string, state: AgentVmState, timeoutMs = 2000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while ((this.#states.get(vmUuid) ?? 'Stopped') !== state && performance.now() < deadline && this.#events)
      await this.changed(vmUuid, deadline - performance.now())
  }

  /** Waits for the next event of this VM, at most `timeoutMs`. */
  changed(vmUuid: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(vmUuid) ?? new Set()
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        waiters.delete(done)
        if (waiters.size === 0) this.#waiters.delete(vmUuid)
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, timeoutMs))
      signal?.addEventListener('abort', done, { once: true })
      waiters.add(done)
      this.#waiters.set(vmUuid, waiters)
    })
  }

  /** How long the guest stood still in its last migration away from here, milliseconds. */
  takeDowntimeMs(vmUuid: string): number | undefined {
    const downtimeMs = this.#downtimesMs.get(vmUuid)
    this.#downtimesMs.delete(vmUuid)
    return downtimeMs
  }

  lifecycle(vmUuid: string, event: number, detail: number): void {
    const change = readLifecycleEvent(event, detail)
    this.#touched.add(vmUuid)
    if (change !== undefined) this.#tell(vmUuid, change.state, change.reason)
    this.#wake(vmUuid)
  }

  deviceRemoved(vmUuid: string, alias: string): void {
    this.devices.put(vmUuid, alias, 'removed')
    this.#wake(vmUuid)
  }

  deviceRemovalFailed(vmUuid: string, alias: string): void {
    this.devices.put(vmUuid, alias, 'refused')
    this.#wake(vmUuid)
  }

  jobCompleted(vmUuid: string, stats: { readonly params: Pointer; readonly count: number }): void {
    const value: [number] = [0]
    if (loadLibvirt().api.paramsGetULLong(stats.params, stats.count, 'downtime', value) === 1)
      this.#downtimesMs.set(vmUuid, Number(value[0]))
  }

  closed(): void {
    if (this.#disposed) return
    this.#deps.logger.warn({}, 'libvirtd closed the event connection')
    const broken = this.#events
    this.#events = undefined
    // Not from inside the callback: libvirt's thread waits for it to end.
    this.#reopenTimer = setTimeout(() => {
      this.#connecting = (broken?.close() ?? Promise.resolve()).then(() => this.#connect(false))
    }, 0)
  }

  #tell(vmUuid: string, state: AgentVmState, reason: string | undefined): void {
    if ((this.#states.get(vmUuid) ?? 'Stopped') === state) return
    if (state === 'Stopped') {
      this.#states.delete(vmUuid)
      this.devices.forget(vmUuid)
    } else this.#states.set(vmUuid, state)
    const byAgent = this.#commands.has(vmUuid) || reason === 'migrated'
    const data = { vmUuid, state, ...(reason === undefined ? {} : { reason }), byAgent }
    this.#deps.emit({ name: 'vm.state', atMs: Date.now(), data })
  }

  #wake(vmUuid: string): void {
    for (const waiter of [...(this.#waiters.get(vmUuid) ?? [])]) waiter()
  }

  async #connect(first: boolean): Promise<void> {
    const { client, logger } = this.#deps
    try {
      this.#touched = new Set()
      this.#events = await openEventConnection(client.uri, this, logger)
      await this.#catchUp(this.#events, first)
      this.#attempts = 0
      logger.info({ uri: client.uri }, 'watching the domains of libvirt')
    } catch (error) {
      await this.#events?.close()
      this.#events = undefined
      if (this.#disposed) return
      const delayMs = REOPEN_MS[Math.min(this.#attempts++, REOPEN_MS.length - 1)]
      logger.warn({ reason: describeError(error), delayMs }, 'cannot watch the domains of libvirt yet')
      this.#reopenTimer = setTimeout(() => {
        this.#connecting = this.#connect(first)
      }, delayMs)
    }
  }

  /** Compares what was known with what is. At the start nothing is told: the management asks for the list itself. */
  async #catchUp(events: EventConnection, first: boolean): Promise<void> {
    const listed = (await listDomains(events.connection)).filter((domain) => domain.ours && !domain.moving)
    const now = new Map(listed.map((domain) => [domain.name, domain.state]))
    for (const [vmUuid, state] of now) {
      if (this.#touched.has(vmUuid)) continue
      if (first) this.#states.set(vmUuid, state)
      else this.#tell(vmUuid, state, undefined)
    }
    for (const vmUuid of [...this.#states.keys()])
      if (!now.has(vmUuid) && !this.#touched.has(vmUuid)) this.#tell(vmUuid, 'Stopped', undefined)
  }
}
