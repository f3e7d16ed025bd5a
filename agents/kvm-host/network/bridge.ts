import type { AgentHandlers } from '#agent-rpc'
import { CloudError, KeyedQueues, sysErrors } from '#kernel'
import type { createBridge, deleteBridge } from '../contract/network.ts'
import {
  type Address,
  movableAddresses,
  movableRoutes,
  planArrival,
  planMove,
  type Route,
} from './bridge-plan.ts'
import { type Run, runJson } from './run-command.ts'

interface BridgeCalls {
  readonly createBridge: typeof createBridge
  readonly deleteBridge: typeof deleteBridge
}

interface Device {
  readonly ifname: string
  readonly mtu: number
  readonly address: string
  readonly master?: string
  readonly flags: readonly string[]
  readonly linkinfo?: { readonly info_kind?: string }
  readonly addr_info: readonly Address[]
}

const DEVICE = /^[\w.-]{1,15}$/

/** Bridges of L2 networks. Work is one after the other on a host: two bridges may share the routing table. */
export function createBridgeHandlers(run: Run): AgentHandlers<Pick<BridgeCalls, keyof BridgeCalls>> {
  const queues = new KeyedQueues()
  return {
    async createBridge({ bridge, physicalInterface }) {
      checkNames(bridge, physicalInterface)
      return queues.run('bridges', `create ${bridge}`, async () => ({
        created: await makeBridge(run, bridge, physicalInterface),
      }))
    },
    async deleteBridge({ bridge, physicalInterface }) {
      checkNames(bridge, physicalInterface)
      return queues.run('bridges', `delete ${bridge}`, async () => ({
        deleted: await removeBridge(run, bridge, physicalInterface),
      }))
    },
  }
}

async function makeBridge(run: Run, bridge: string, physical: string): Promise<boolean> {
  const nic = await findDevice(run, physical)
  if (nic === undefined) throw refuse(`interface ${physical} does not exist on this host`)
  if (nic.linkinfo?.info_kind === 'bridge') throw refuse(`interface ${physical} is a bridge itself`)
  if (nic.flags.includes('LOOPBACK')) throw refuse(`interface ${physical} is the loopback interface`)
  if (nic.master !== undefined && nic.master !== bridge) {
    throw refuse(`interface ${physical} belongs to ${nic.master} already, it cannot be a port of ${bridge}`)
  }
  const existing = await findDevice(run, bridge)
  if (existing !== undefined && existing.linkinfo?.info_kind !== 'bridge') {
    throw refuse(`an interface ${bridge} that is not a bridge exists on this host`)
  }
  const addresses = movableAddresses(nic.addr_info)
  const routes = await routesOf(run, physical, addresses)
  const up = existing?.flags.includes('UP') === true && nic.flags.includes('UP')
  const complete = nic.master === bridge && addresses.length === 0 && up && existing?.mtu === nic.mtu
  if (complete) return false
  const lines = [
    ...(existing === undefined ? birthLines(bridge, nic) : []),
    `link set dev ${bridge} mtu ${nic.mtu} up`,
    `link set dev ${physical} master ${bridge} up`,
    ...planMove(addresses, routes, { from: physical, to: bridge }),
  ]
  const back = [
    ...planArrival(addresses, routes, physical),
    ...(nic.master === undefined ? [`link set dev ${physical} nomaster`] : []),
    ...(existing === undefined ? [`link del dev ${bridge}`] : addressesGone(addresses, bridge)),
  ]
  await runBatch(run, lines, back, `make bridge ${bridge} on ${physical}`)
  if (existing === undefined) await silenceBridge(run, bridge, nic)
  return existing === undefined || nic.master === undefined
}

async function removeBridge(run: Run, bridge: string, physical: string): Promise<boolean> {
  const device = await findDevice(run, bridge)
  if (device === undefined) return false
  if (device.linkinfo?.info_kind !== 'bridge') throw refuse(`${bridge} is not a bridge`)
  const ports = await runJson<{ ifname: string }>(run, ['ip', '-j', 'link', 'show', 'master', bridge])
  const others = ports.map((port) => port.ifname).filter((name) => name !== physical)
  if (others.length > 0) {
    throw refuse(`bridge ${bridge} is in use by ${others.join(', ')}; stop or move those first`)
  }
  const nic = await findDevice(run, physical)
  const addresses = movableAddresses(device.addr_info)
  const mayReturn = nic !== undefined && (nic.master === undefined || nic.master === bridge)
  if (!mayReturn && addresses.length > 0) {
    const why = nic === undefined ? 'does not exist' : `belongs to ${nic.master}`
    const held = addresses.map((a) => a.local).join(', ')
    throw refuse(`bridge ${bridge} holds ${held}, which cannot go back to ${physical}: it ${why}`)
  }
  const routes = await routesOf(run, bridge, addresses)
  if (mayReturn) {
    const there = [
      `link set dev ${physical} up`,
      ...planMove(addresses, routes, { from: bridge, to: physical }),
    ]
    const leave = nic.master === undefined ? [] : [`link set dev ${physical} nomaster`]
    const back = [
      ...(nic.master === undefined ? [] : [`link set dev ${physical} master ${bridge}`]),
      ...planArrival(addresses, routes, bridge),
      ...addressesGone(addresses, physical),
    ]
    await runBatch(run, [...there, ...leave], back, `give the addresses of ${bridge} back to ${physical}`)
  }
  await run(['ip', 'link', 'del', 'dev', bridge])
  return true
}

/** A bridge has the MAC of its interface from the start, so that nothing outside sees a new machine. */
function birthLines(bridge: string, nic: Device): string[] {
  return [
    `link add name ${bridge} address ${nic.address} mtu ${nic.mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  ]
}

/** A host without IPv6 addresses of its own on this network stays invisible to the guests: no link-local ones either. */
async function silenceBridge(run: Run, bridge: string, nic: Device): Promise<void> {
  if (nic.addr_info.some((a) => a.family === 'inet6' && a.scope !== 'link')) return
  // 255: a kernel without IPv6 has no such setting, which is as silent as can be.
  await run(['sysctl', '-qw', `net/ipv6/conf/${bridge}/disable_ipv6=1`], { okCodes: [255] })
}

async function runBatch(run: Run, lines: string[], back: string[], what: string): Promise<void> {
  try {
    await run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
  } catch (error) {
    // -force goes on after a line that fails: what never was done cannot be undone, the rest still must be.
    await run(['ip', '-force', '-batch', '-'], { input: `${back.join('\n')}\n`, okCodes: [1, 2, 255] })
    throw new CloudError(sysErrors.operationFailed, `cannot ${what}; everything was put back`, {
      cause: error,
    })
  }
}

function addressesGone(addresses: readonly Address[], device: string): string[] {
  return addresses.map((a) => `addr del ${a.local}/${a.prefixlen} dev ${device}`)
}

async function findDevice(run: Run, name: string): Promise<Device | undefined> {
  const argv = ['ip', '-d', '-j', 'addr', 'show', 'dev', name]
  return (await runJson<Device>(run, argv, { okCodes: [1] })).find((device) => device.ifname === name)
}

async function routesOf(run: Run, device: string, addresses: readonly Address[]): Promise<Route[]> {
  const all: Route[] = []
  for (const family of [4, 6] as const) {
    const argv = ['ip', '-d', '-j', `-${family}`, 'route', 'show', 'table', 'all']
    type Listed = Route & { dev?: string; nexthops?: readonly { dev?: string }[] }
    for (const route of await runJson<Listed>(run, argv)) {
      if (route.nexthops?.some((hop) => hop.dev === device) === true) {
        throw refuse(`a multipath route to ${route.dst} uses ${device}; it cannot be moved, remove it first`)
      }
      if (route.dev === device) all.push({ ...route, family })
    }
  }
  return movableRoutes(all, addresses)
}

function checkNames(...names: readonly string[]): void {
  for (const name of names) {
    if (DEVICE.test(name) && name !== '.' && name !== '..') continue
    throw new CloudError(sysErrors.invalidArgument, `${JSON.stringify(name)} is not the name of an interface`)
  }
}

function refuse(details: string): CloudError {
  return new CloudError(sysErrors.operationFailed, details)
}
