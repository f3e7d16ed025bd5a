import { existsSync } from 'node:fs'
import { CloudError, sysErrors } from '#kernel'
import { type FlatNames, INNER, METADATA_ADDRESS } from './flat-names.ts'
import type { FlatNetwork } from './flat-network-spec.ts'
import { prefixLength } from './ipv4.ts'
import { type Run, runJson } from './run-command.ts'

interface Link {
  readonly ifname: string
  readonly mtu: number
  readonly address?: string
  readonly master?: string
  readonly flags: readonly string[]
  readonly linkinfo?: { readonly info_kind?: string }
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[]
}

/** Makes the namespace with its veth pair as it must be. Returns whether anything had to be done. */
export async function ensureLinks(
  run: Run,
  names: FlatNames,
  network: FlatNetwork,
  namespacePath: string,
): Promise<boolean> {
  const bridge = await findLink(run, network.bridge)
  if (bridge?.linkinfo?.info_kind !== 'bridge') {
    const what = bridge === undefined ? 'does not exist' : 'is not a bridge'
    throw new CloudError(
      sysErrors.resourceNotFound,
      `${network.bridge} ${what} on this host; create the bridge of the L2 network first`,
    )
  }
  const namespaceMade = await ensureNamespace(run, names.namespace, namespacePath)
  const port = namespaceMade ? undefined : await findLink(run, names.port)
  const inner = port === undefined ? undefined : await findLink(run, INNER, names.namespace)
  if (port !== undefined && inner !== undefined && isRight(port, inner, names, network, bridge.mtu))
    return false
  await makePair(run, names, network, bridge.mtu)
  return true
}

/** Removes veth, namespace and all that runs in it. What is not there is fine. */
export async function removeLinks(
  run: Run,
  names: Pick<FlatNames, 'port' | 'namespace'>,
  namespacePath: string,
): Promise<boolean> {
  const port = await findLink(run, names.port)
  if (port !== undefined) await run(['ip', 'link', 'del', 'dev', names.port])
  if (!existsSync(namespacePath)) return port !== undefined
  await run(['ip', 'netns', 'del', names.namespace])
  return true
}

/** The interface, on the host or inside `namespace`; undefined when there is none. */
async function findLink(run: Run, name: string, namespace?: string): Promise<Link | undefined> {
  const where = namespace === undefined ? [] : ['-n', namespace]
  // ip answers 1 for "does not exist"; a real failure shows in the commands that follow.
  const argv = ['ip', '-d', '-j', ...where, 'addr', 'show', 'dev', name]
  return (await runJson<Link>(run, argv, { okCodes: [1] })).find((link) => link.ifname === name)
}

async function ensureNamespace(run: Run, namespace: string, path: string): Promise<boolean> {
  if (existsSync(path)) {
    const { code } = await run(['ip', '-n', namespace, 'link', 'show', 'dev', 'lo'], { okCodes: [1, 255] })
    if (code === 0) return false
    // A plain file without a namespace behind it: the agent or the machine died between two steps of `ip netns add`.
    await run(['ip', 'netns', 'del', namespace])
  }
  await run(['ip', 'netns', 'add', namespace])
  return true
}

function isRight(port: Link, inner: Link, names: FlatNames, network: FlatNetwork, mtu: number): boolean {
  const has = (ip: string, length: number | undefined) =>
    inner.addr_info?.some((a) => a.local === ip && a.prefixlen === length) === true
  return (
    port.master === network.bridge &&
    port.mtu === mtu &&
    port.flags.includes('LOWER_UP') &&
    inner.mtu === mtu &&
    inner.address === names.serverMac &&
    inner.addr_info?.length === 2 &&
    has(network.dhcpServerIp, prefixLength(network.netmask)) &&
    has(METADATA_ADDRESS, 32)
  )
}

/** A wrong pair is made anew rather than mended: one path to test, and the namespace with its processes stays. */
async function makePair(run: Run, names: FlatNames, network: FlatNetwork, mtu: number): Promise<void> {
  const { namespace, port, serverMac, portMac } = names
  if ((await findLink(run, port)) !== undefined) await run(['ip', 'link', 'del', 'dev', port])
  if ((await findLink(run, INNER, namespace)) !== undefined) {
    await run(['ip', '-n', namespace, 'link', 'del', 'dev', INNER])
  }
  const peer = ['peer', 'name', INNER, 'address', serverMac, 'mtu', String(mtu), 'netns', namespace]
  await run(['ip', 'link', 'add', port, 'address', portMac, 'mtu', String(mtu), 'type', 'veth', ...peer])
  const inside = ['nsenter', `--net=/run/netns/${namespace}`]
  const sysctls = [`net.ipv6.conf.${INNER}.disable_ipv6=1`, 'net.ipv4.ip_forward=0']
  await run([...inside, 'sysctl', '-qw', ...sysctls])
  // DHCP clients that read raw packets see no checksum in a frame that never met a real NIC.
  await run([...inside, 'ethtool', '-K', INNER, 'tx', 'off'])
  const length = prefixLength(network.netmask)
  const lines = [
    'link set lo up',
    `addr add ${network.dhcpServerIp}/${length} brd + dev ${INNER}`,
    `addr add ${METADATA_ADDRESS}/32 dev ${INNER}`,
    `link set ${INNER} up`,
  ]
  await run(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` })
  await run(['sysctl', '-qw', `net.ipv6.conf.${port}.disable_ipv6=1`])
  await run(['ip', 'link', 'set', 'dev', port, 'master', network.bridge, 'up'])
  // Without a fixed entry the address ages out and requests flood all ports, or another port claims it.
  await run(['bridge', 'fdb', 'replace', serverMac, 'dev', port, 'master', 'static'])
}
