import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CloudError, describeError, type Logger, sysErrors } from '#kernel'
import { buildDnsmasqConfig } from './dnsmasq-config.ts'
import { ensureDnsmasq, killInside, stopDnsmasq } from './dnsmasq-process.ts'
import { ensureLinks, removeLinks } from './flat-links.ts'
import { flatNames, leftoverNames, NAMESPACE_PREFIX, shortId, shortIdOf } from './flat-names.ts'
import type { Lease } from './flat-network-spec.ts'
import { type FlatState, listDir, readFlatState, removeFlatState, writeFlatState } from './flat-state.ts'
import { MetadataServer } from './metadata-server.ts'
import { buildNftRules } from './nft-rules.ts'
import { type Run, runJson } from './run-command.ts'

const NAMESPACES = '/run/netns'

export interface FlatDeps {
  readonly run: Run
  readonly log: Logger
  /** Folder with one sub-folder for each network, absolute. */
  readonly stateDir: string
  /** Differs from `zs-` only where several hosts share one machine's /run/netns. */
  readonly namespacePrefix?: string
}

/** Says what a network is to become from what it is; undefined = gone. Throws to refuse only its own call. */
export type FlatChange = (current: FlatState | undefined) => FlatState | undefined

interface Waiting {
  readonly change: FlatChange
  readonly resolve: (changed: boolean) => void
  readonly reject: (error: unknown) => void
}

interface Live {
  state: FlatState | undefined
  byAddress: ReadonlyMap<string, Lease>
  metadata: MetadataServer | undefined
}

/**
 * All flat networks of this host. Each is brought to what was last said about it by comparing and then changing, so a repeat costs
 * little and what a crash left half made is completed. Calls about one network that arrive while it is being changed
 * wait and are then done together: a hundred VM starts cost two restarts of dnsmasq, not a hundred.
 */
export class FlatNetworks {
  readonly #deps: FlatDeps
  readonly #prefix: string
  readonly #live = new Map<string, Live>()
  readonly #waiting = new Map<string, Waiting[]>()

  constructor(deps: FlatDeps) {
    this.#deps = deps
    this.#prefix = deps.namespacePrefix ?? NAMESPACE_PREFIX
  }

  /** Applies `change` to the network. Resolves once the host is so, with whether anything had to be done. */
  apply(l3NetworkUuid: string, change: FlatChange): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(l3NetworkUuid)
      const entry = { change, resolve, reject }
      if (waiting !== undefined) {
        waiting.push(entry)
        return
      }
      this.#waiting.set(l3NetworkUuid, [entry])
      void this.#drain(l3NetworkUuid)
    })
  }

  /** After a start of the agent: everything on disk is served again, leftovers of networks that are not on disk go. */
  async reconcile(): Promise<void> {
    const { log, stateDir } = this.#deps
    const uuids = (await listDir(stateDir)).filter((name) => /^[0-9a-f]{32}$/.test(name))
    for (const l3NetworkUuid of uuids) {
      try {
        const changed = await this.apply(l3NetworkUuid, (current) => current)
        log.info({ l3NetworkUuid, changed }, 'flat network is served')
      } catch (error) {
        // Usual after a reboot: the bridge is not there before the management has connected and asked for it.
        log.warn({ l3NetworkUuid, reason: describeError(error) }, 'flat network cannot be served yet')
      }
    }
    await this.#removeLeftovers(new Set(uuids.map(shortId)))
  }

  /** Lets go of the sockets. Namespaces and dnsmasqs stay: they serve on while the agent is away. */
  async close(): Promise<void> {
    await Promise.all([...this.#live.values()].map((live) => live.metadata?.stop()))
    this.#live.clear()
  }

  async #drain(uuid: string): Promise<void> {
    for (;;) {
      const batch = this.#waiting.get(uuid) ?? []
      if (batch.length === 0) break
      this.#waiting.set(uuid, [])
      await this.#applyBatch(uuid, batch)
    }
    this.#waiting.delete(uuid)
  }

  /** Settles every entry of the batch, whatever happens. */
  async #applyBatch(uuid: string, batch: readonly Waiting[]): Promise<void> {
    const accepted: Waiting[] = []
    try {
      const live = await this.#load(uuid)
      let wanted = live.state
      for (const entry of batch) {
        try {
          wanted = entry.change(wanted)
          accepted.push(entry)
        } catch (error) {
          entry.reject(error)
        }
      }
      if (accepted.length === 0) return
      const changed = await this.#converge(uuid, live, wanted)
      for (const { resolve } of accepted) resolve(changed)
    } catch (error) {
      for (const { reject } of accepted.length === 0 ? batch : accepted) reject(error)
    }
  }

  async #load(uuid: string): Promise<Live> {
    const known = this.#live.get(uuid)
    if (known !== undefined) return known
    const state = await readFlatState(this.#dir(uuid))
    const live = { state, byAddress: indexByAddress(state), metadata: undefined }
    this.#live.set(uuid, live)
    return live
  }

  async #converge(uuid: string, live: Live, wanted: FlatState | undefined): Promise<boolean> {
    if (wanted === undefined) return this.#remove(uuid, live)
    const { run } = this.#deps
    const dir = this.#dir(uuid)
    const names = flatNames(uuid, this.#prefix)
    const namespacePath = join(NAMESPACES, names.namespace)
    const leases = [...wanted.leases.values()]
    // Taken from who loses it at once: a lease that is going must not be answered while the rest is being changed.
    live.byAddress = indexByAddress(wanted)
    const previous = live.state
    live.state = wanted
    const written = await writeFlatState(dir, previous, wanted)
    const linked = await ensureLinks(run, names, wanted.network, namespacePath)
    const guarded = await this.#ensureRules(names.table, buildNftRules(names, wanted.network, leases))
    const config = buildDnsmasqConfig(wanted.network, leases, dir)
    const where = { namespace: names.namespace, namespacePath, dir }
    const restarted = await ensureDnsmasq(run, where, config, { restart: linked })
    const listening = await this.#ensureMetadata(uuid, live, namespacePath)
    return written || linked || guarded || restarted || listening
  }

  async #ensureRules(table: string, rules: ReturnType<typeof buildNftRules>): Promise<boolean> {
    const { run } = this.#deps
    const there = await run(['nft', 'list', 'chain', 'bridge', table, rules.marker], { okCodes: [1] })
    if (there.code === 0) return false
    await run(['nft', '-f', '-'], { input: rules.text })
    return true
  }

  async #ensureMetadata(uuid: string, live: Live, namespacePath: string): Promise<boolean> {
    if (live.metadata?.servesNamespace(namespacePath) === true) return false
    await live.metadata?.stop()
    live.metadata = undefined
    const find = (ip: string) => {
      const lease = live.byAddress.get(ip)
      return lease === undefined || live.state === undefined
        ? undefined
        : { network: live.state.network, lease }
    }
    const log = this.#deps.log.child({ l3NetworkUuid: uuid })
    live.metadata = await MetadataServer.start(namespacePath, find, log)
    return true
  }

  async #remove(uuid: string, live: Live): Promise<boolean> {
    const dir = this.#dir(uuid)
    const known = existsSync(dir)
    live.state = undefined
    live.byAddress = new Map()
    await live.metadata?.stop()
    live.metadata = undefined
    await stopDnsmasq(dir)
    const there = await this.#removeFromKernel(shortId(uuid))
    // The files go last: as long as they are there, a crash is followed by another attempt.
    await removeFlatState(dir)
    this.#live.delete(uuid)
    return known || there
  }

  async #removeFromKernel(short: string): Promise<boolean> {
    const { run } = this.#deps
    const names = leftoverNames(short, this.#prefix)
    const namespacePath = join(NAMESPACES, names.namespace)
    if (existsSync(namespacePath)) {
      const { code } = await run(['ip', '-n', names.namespace, 'link', 'show', 'dev', 'lo'], {
        okCodes: [1, 255],
      })
      if (code === 0) await killInside(run, names.namespace)
    }
    const unlinked = await removeLinks(run, names, namespacePath)
    const tables = await this.#tables()
    if (tables.includes(names.table)) await run(['nft', 'delete', 'table', 'bridge', names.table])
    return unlinked || tables.includes(names.table)
  }

  async #tables(): Promise<string[]> {
    const { stdout } = await this.#deps.run(['nft', 'list', 'tables', 'bridge'])
    return [...stdout.matchAll(/^table bridge (\S+)$/gm)].map((match) => match[1] ?? '')
  }

  async #removeLeftovers(keep: ReadonlySet<string>): Promise<void> {
    const { run, log } = this.#deps
    const ports = await runJson<{ ifname: string }>(run, ['ip', '-j', 'link', 'show', 'type', 'veth'])
    const found = [
      ...(await listDir(NAMESPACES)).map((name) => shortIdOf(name, this.#prefix)),
      ...ports.map((port) => shortIdOf(port.ifname, 'zs')),
      ...(await this.#tables()).map((table) => shortIdOf(table, 'zs_')),
    ]
    for (const short of new Set(found)) {
      // A call may have come in meanwhile and made a network that was not on disk before.
      const inUse = [...this.#live.keys(), ...this.#waiting.keys()].some((uuid) => shortId(uuid) === short)
      if (short === undefined || keep.has(short) || inUse) continue
      log.warn({ network: short }, 'removing what is left of a flat network nobody remembers')
      try {
        await this.#removeFromKernel(short)
      } catch (error) {
        log.error({ network: short, reason: describeError(error) }, 'leftovers cannot be removed')
      }
    }
  }

  #dir(uuid: string): string {
    // The contract and the spec both check it; a path is built here, so it is checked where it matters.
    if (!/^[0-9a-f]{32}$/.test(uuid)) {
      throw new CloudError(
        sysErrors.invalidArgument,
        `field[l3NetworkUuid] is not a uuid: ${JSON.stringify(uuid)}`,
      )
    }
    return join(this.#deps.stateDir, uuid)
  }
}

function indexByAddress(state: FlatState | undefined): ReadonlyMap<string, Lease> {
  return new Map([...(state?.leases.values() ?? [])].map((lease) => [lease.ip, lease]))
}
