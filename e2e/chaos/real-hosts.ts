import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { buildGuestImage } from '#lab/images/build-guest.ts'
import { createLab, type Lab, type LabHost } from '#lab/lab.ts'
import type { Wires } from './wires.ts'

const run = promisify(execFile)
/** The lab's end of the cable, in the network of the wires. */
const GATEWAY = '10.97.0.2'
const LAB_NETWORK = '10.98.0.0/24'

/** On the hosts' real disk; everything else there is memory. */
export const volumeDirectory = '/zstack_ps/volumes'
export const imageDirectory = '/zstack_ps/images'

export const labNameOf = (wires: string) => `chaos-${wires}`

/** The virtual hosts of a run, named host1 and on. */
export function openLab(wires: string): Lab {
  // Nobody there needs the outside, so nothing is started for it.
  return createLab({ name: labNameOf(wires), nat: false })
}

/** Boots hosts and joins their management network with the wires, so that each of `members` reaches them over its own cable. */
export async function bootRealHosts(
  lab: Lab,
  count: number,
  wires: Wires,
  members: readonly string[],
): Promise<void> {
  // It is fetched from outside, which is out of reach from where it is used.
  await Promise.all([lab.up({ hosts: count }), buildGuestImage()])
  const there = `zstack-lab-${lab.name}`
  const { middle, namespaceOf } = wires
  const ends = ['type', 'veth', 'peer', 'name', 'wires', 'netns', there]
  await run('ip', ['link', 'add', 'to-lab', 'netns', middle, ...ends])
  await run('ip', ['-n', middle, 'link', 'set', 'to-lab', 'master', 'br0', 'up'])
  await run('ip', ['-n', there, 'addr', 'add', `${GATEWAY}/24`, 'dev', 'wires'])
  await run('ip', ['-n', there, 'link', 'set', 'wires', 'up'])
  for (const member of members)
    await run('ip', ['-n', namespaceOf(member), 'route', 'add', LAB_NETWORK, 'via', GATEWAY])
}

/** Sends a signal to the agents of a role on a host; returns how many there were. */
export async function signalAgents(host: LabHost, role: string, signal: string): Promise<number> {
  const { stdout } = await host.exec(['pgrep', '-f', `agents/${role}/main.ts run`], { allowFailure: true })
  const pids = stdout.split('\n').filter(Boolean)
  if (pids.length > 0) await host.exec(['kill', `-${signal}`, ...pids], { allowFailure: true })
  return pids.length
}

/**
 * Does what systemd does for an agent that ended and at each boot; the hosts of the lab have none. An agent that runs is left
 * alone.
 */
export async function superviseAgents(host: LabHost): Promise<void> {
  await host.exec(['sh', '-c', supervise])
}

const supervise = `
for home in /var/lib/zstack/agent/*; do
  role=\${home##*/}
  [ -e $home/current ] && [ -e $home/agent.json ] || continue
  pgrep -f "agents/$role/main.ts run" > /dev/null && continue
  node=$(sed -n 's/.*"runtime": "\\(.*\\)".*/\\1/p' $home/agent.json)
  "$node" $home/current/agents/$role/main.ts start $home
done`
