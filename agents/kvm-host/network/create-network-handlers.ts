import { join } from 'node:path'
import type { AgentHandlers } from '#agent-rpc'
import type { Disposable, Logger } from '#kernel'
import type { kvmHostCalls } from '../contract/index.ts'
import { createBridgeHandlers } from './bridge.ts'
import { createFlatHandlers } from './flat-handlers.ts'
import { FlatNetworks } from './flat-networks.ts'
import { type Run, runCommand } from './run-command.ts'

export type NetworkCalls = Pick<
  typeof kvmHostCalls,
  | 'createBridge'
  | 'deleteBridge'
  | 'applyFlatNetwork'
  | 'addFlatLeases'
  | 'removeFlatLeases'
  | 'deleteFlatNetwork'
>

export interface NetworkDeps {
  readonly log: Logger
  /** Runs a command in the host's network namespace; execFile when absent. */
  readonly run?: Run
  /** Where this area keeps files, absolute; flat networks live in `flat/` below it. */
  readonly stateRoot?: string
  /** Differs from `zs-` only where several hosts share one machine's /run/netns. */
  readonly namespacePrefix?: string
}

export interface NetworkArea extends Disposable {
  readonly handlers: AgentHandlers<NetworkCalls>
  /**
   * To be called once at the start of the agent: serves metadata again, starts dnsmasqs that died, drops namespaces nobody
   * remembers. What cannot be served is logged, not thrown.
   */
  reconcileNetwork(): Promise<void>
}

/** The network commands of a KVM host. Disposing closes the metadata sockets and leaves the rest serving. */
export function createNetworkHandlers(deps: NetworkDeps): NetworkArea {
  const run = deps.run ?? runCommand
  const flat = new FlatNetworks({
    run,
    log: deps.log,
    stateDir: join(deps.stateRoot ?? '/var/lib/zstack', 'flat'),
    ...(deps.namespacePrefix === undefined ? {} : { namespacePrefix: deps.namespacePrefix }),
  })
  return {
    handlers: { ...createBridgeHandlers(run), ...createFlatHandlers(flat) },
    reconcileNetwork: () => flat.reconcile(),
    dispose: () => flat.close(),
  }
}
