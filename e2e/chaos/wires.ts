import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Hosts of a private network, each in a network namespace of its own: 10.97.0.11 and on, in the order of their names. */
export interface Wires {
  /** The namespace in the middle, 10.97.0.1, from where all are reached. */
  readonly middle: string
  namespaceOf(member: string): string
  addressOf(member: string): string
  /** Pulls the cable. Callable only in the middle. */
  cut(member: string): Promise<void>
  heal(member: string): Promise<void>
}

const run = promisify(execFile)

/** The wires somebody made under this name. */
export function wiresOf(name: string, members: readonly string[]): Wires {
  const port = async (member: string, state: 'up' | 'down') =>
    void (await run('ip', ['link', 'set', portOf(member), state]))
  return {
    middle: `zs-chaos-middle-${name}`,
    namespaceOf: (member) => `zs-chaos-${member}-${name}`,
    addressOf: (member) => `10.97.0.${11 + members.indexOf(member)}`,
    cut: (member) => port(member, 'down'),
    heal: (member) => port(member, 'up'),
  }
}

/** Makes them; the name is the pid of their maker, so that who finds them can tell whether they are still wanted. */
export async function layWires(name: string, members: readonly string[]): Promise<Wires> {
  const wires = wiresOf(name, members)
  const { middle, namespaceOf, addressOf } = wires
  const all = [middle, ...members.map(namespaceOf)]
  await batch(
    undefined,
    all.map((namespace) => `netns add ${namespace}`),
  )
  const links = members.map(
    (member) =>
      `link add ${portOf(member)} netns ${middle} type veth peer name eth0 netns ${namespaceOf(member)}`,
  )
  await batch(undefined, links)
  const ports = members.flatMap((member) => [
    `link set ${portOf(member)} master br0`,
    `link set ${portOf(member)} up`,
  ])
  const bridge = ['link set lo up', 'link add br0 type bridge forward_delay 0 stp_state 0']
  await batch(middle, [...bridge, 'addr add 10.97.0.1/24 dev br0', 'link set br0 up', ...ports])
  for (const member of members)
    await batch(namespaceOf(member), [
      'link set lo up',
      `addr add ${addressOf(member)}/24 dev eth0`,
      'link set eth0 up',
    ])
  return wires
}

export async function removeWires(name: string, members: readonly string[]): Promise<void> {
  const { middle, namespaceOf } = wiresOf(name, members)
  // Those that were not made yet are no reason to leave the others.
  for (const namespace of [...members.map(namespaceOf), middle])
    await run('ip', ['netns', 'del', namespace]).catch(() => 'it was not there')
}

const portOf = (member: string) => `to-${member}`

async function batch(namespace: string | undefined, lines: readonly string[]): Promise<void> {
  const args = [...(namespace === undefined ? [] : ['-n', namespace]), '-batch', '-']
  const running = run('ip', args)
  running.child.stdin?.end(`${lines.join('\n')}\n`)
  await running
}
