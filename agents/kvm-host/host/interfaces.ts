import { readdir, readFile, stat } from 'node:fs/promises'

/** What the kernel tells about a network interface in /sys/class/net. */
export interface InterfaceFacts {
  readonly name: string
  /** ARPHRD number: 1 is Ethernet. */
  readonly type: number
  /** DEVTYPE of uevent: `bridge`, `vlan`, `vxlan`, `bond`, `wlan`; empty for plain cards. */
  readonly deviceType: string
  readonly isBridge: boolean
  readonly isTunTap: boolean
  readonly isBondMember: boolean
}

// Taps of VMs and the host's ends of namespaces' veth pairs, by the names the agent gives them; and traffic shaping's own.
const OUR_NAMES = /^(vnic\d|zs[0-9a-f]{11}$|ifb\d)/
const VIRTUAL_TYPES = new Set([
  'bridge',
  'vlan',
  'vxlan',
  'wlan',
  'macvlan',
  'ipvlan',
  'geneve',
  'gre',
  'wwan',
])

/** True for an interface an L2 network may be built on: cards and bonds, and whatever a virtual machine has as a card. */
export function mayCarryL2(facts: InterfaceFacts): boolean {
  return (
    facts.type === 1 &&
    !facts.isBridge &&
    !facts.isTunTap &&
    !facts.isBondMember &&
    !VIRTUAL_TYPES.has(facts.deviceType) &&
    !OUR_NAMES.test(facts.name)
  )
}

/** Names of the interfaces an L2 network may be built on, sorted. */
export async function listL2Interfaces(directory = '/sys/class/net'): Promise<string[]> {
  const facts = await Promise.all((await readdir(directory)).map((name) => readInterface(directory, name)))
  return facts
    .filter((found) => found !== undefined && mayCarryL2(found))
    .map((found) => (found as InterfaceFacts).name)
    .sort()
}

async function readInterface(directory: string, name: string): Promise<InterfaceFacts | undefined> {
  const path = `${directory}/${name}`
  try {
    const uevent = await readFile(`${path}/uevent`, 'utf8')
    return {
      name,
      type: Number(await readFile(`${path}/type`, 'utf8')),
      deviceType: /^DEVTYPE=(.*)$/m.exec(uevent)?.[1] ?? '',
      isBridge: await exists(`${path}/bridge`),
      isTunTap: await exists(`${path}/tun_flags`),
      isBondMember: await exists(`${path}/bonding_slave`),
    }
  } catch {
    // `bonding_masters` is a file among the directories, and interfaces come and go while we look.
    return undefined
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
