import type { AgentClient } from '#agent-rpc'
import { createBridge, deleteBridge } from '#agents/kvm-host/contract/network.ts'
import { find, not, oneOf } from '#db'
import { CloudError, describeError, type ErrorCode, Limiter, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { hostStatus } from '#plugins/host/contract/states.ts'
import { bridgeOf } from './bridge-name.ts'
import { l2Errors } from './contract/errors.ts'
import { l2Hook } from './contract/extensions.ts'
import type { L2Network } from './contract/resources.ts'

// Hosts worked on at the same time; a bridge takes one of them a few milliseconds.
const PARALLEL_HOSTS = 50
// Hosts an error names; more do not help anybody.
const NAMED_HOSTS = 5

type Context = Pick<PluginContext, 'db' | 'driver' | 'hooks' | 'log'>

/** Hosts of clusters that can be worked on now. Others get their bridges when they connect. */
export function connectedHosts(ctx: Context, clusterUuids: readonly string[]): Promise<Host[]> {
  return find(ctx.db, host, { clusterUuid: oneOf(clusterUuids), status: hostStatus.connected })
}

/** Hosts of a cluster that cannot be worked on now, and may have had a bridge before. */
export function awayHosts(ctx: Context, clusterUuid: string): Promise<Host[]> {
  return find(ctx.db, host, { clusterUuid, status: not<string>(hostStatus.connected) })
}

/** Makes the bridge of a network on hosts. Tries all of them, then throws L2.1000 naming those that refused and why. */
export async function createBridges(ctx: Context, network: L2Network, hosts: readonly Host[]): Promise<void> {
  const input = { ...bridgeOf(network), l2NetworkUuid: network.uuid }
  const failures = await onEach(ctx, hosts, (client) => client.call(createBridge, input))
  const what = `cannot make bridge ${input.bridge} on interface ${input.physicalInterface}`
  throwFailures(failures, `${what} for L2 network '${network.name}'[uuid:${network.uuid}]`, l2Errors.attach)
}

/** Removes the bridge of a network and what hangs on it. Throws SYS.1006 naming the hosts that refused and why. */
export async function removeBridges(ctx: Context, network: L2Network, hosts: readonly Host[]): Promise<void> {
  for (const hook of ctx.hooks(l2Hook)) await hook.leaving?.(network, hosts)
  const { bridge, physicalInterface } = bridgeOf(network)
  const failures = await onEach(ctx, hosts, (client) =>
    client.call(deleteBridge, { bridge, physicalInterface }),
  )
  throwFailures(
    failures,
    `cannot remove bridge ${bridge} of L2 network '${network.name}'[uuid:${network.uuid}]`,
    sysErrors.operationFailed,
  )
}

/**
 * Removes bridges where that is possible, for what is being taken back or thrown away: a bridge that stays is idle, and is
 * taken over when a network of the same interface comes again.
 */
export async function tryRemoveBridges(
  ctx: Context,
  network: L2Network,
  hosts: readonly Host[],
): Promise<void> {
  try {
    await removeBridges(ctx, network, hosts)
  } catch (error) {
    ctx.log.warn({ l2NetworkUuid: network.uuid, err: describeError(error) }, 'an idle bridge stays on a host')
  }
}

/**
 * The same when an attachment is taken back: a host that does not answer now is to be asked again with the whole undo, so this throws
 * then. Gives the hosts that answered and refused: their bridges are idle.
 */
export async function takeBridgesBack(
  ctx: Context,
  network: L2Network,
  hosts: readonly Host[],
): Promise<Host[]> {
  const refused: Host[] = []
  for (const host of hosts) {
    try {
      await removeBridges(ctx, network, [host])
    } catch (error) {
      if (isSilence(error) || isSilence((error as Error).cause)) throw error
      ctx.log.warn(
        { l2NetworkUuid: network.uuid, err: describeError(error) },
        'an idle bridge stays on a host',
      )
      refused.push(host)
    }
  }
  return refused
}

function isSilence(error: unknown): boolean {
  if (!(error instanceof CloudError)) return false
  return error.code === sysErrors.ioError.code || error.code === sysErrors.timeout.code
}

interface Failure {
  readonly host: Host
  readonly error: unknown
}

async function onEach(
  ctx: Context,
  hosts: readonly Host[],
  work: (client: AgentClient) => Promise<unknown>,
): Promise<Failure[]> {
  const limiter = new Limiter(() => PARALLEL_HOSTS)
  const failures: Failure[] = []
  const one = async (row: Host) => {
    try {
      await work(await agentOfHost(ctx, row.uuid))
    } catch (error) {
      failures.push({ host: row, error })
    }
  }
  await Promise.all(hosts.map((row) => limiter.run(() => one(row))))
  return failures
}

function throwFailures(failures: readonly Failure[], what: string, code: ErrorCode): void {
  if (failures.length === 0) return
  const named = failures.slice(0, NAMED_HOSTS).map(({ host: { name, uuid }, error }) => {
    return `host '${name}'[uuid:${uuid}]: ${describeError(error)}`
  })
  const rest = failures.length > NAMED_HOSTS ? `; and ${failures.length - NAMED_HOSTS} more hosts` : ''
  throw new CloudError(code, `${what}: ${named.join('; ')}${rest}`, { cause: failures[0]?.error })
}
