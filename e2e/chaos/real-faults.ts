import type { Lab, LabHost } from '#lab/lab.ts'
import { signalAgents, superviseAgents } from './real-hosts.ts'
import type { Target, Way } from './schedule.ts'

/** What can happen to real hosts: one at a time is broken, as each takes all its guests with it. */
export async function realTargets(lab: Lab): Promise<Target[]> {
  const hosts = (await lab.status()).hosts.map(({ name }) => lab.host(name))
  const target = (group: string, name: string, ways: Target['ways']): Target => ({
    ...{ group, name, ways },
    weight: 4,
  })
  const [imageServer] = hosts
  return [
    ...hosts.map((host) => target('real host', `real ${host.name}`, hostWays(host))),
    ...(imageServer === undefined
      ? []
      : [target('real host', 'real image server', agentWays(imageServer, 'backup-storage'))]),
  ]
}

function hostWays(host: LabHost): Record<string, Way> {
  return {
    ...agentWays(host, 'kvm-host'),
    'cut off': { weight: 3, longestMs: 8_000, breakIt: () => host.cut(), mend: () => host.heal() },
    freeze: { weight: 1, longestMs: 5_000, breakIt: () => host.freeze(), mend: () => host.thaw() },
    'power loss': {
      weight: 3,
      longestMs: 4_000,
      breakIt: () => host.crash(),
      mend: () => bootAgain(host),
    },
  }
}

function agentWays(host: LabHost, role: string): Record<string, Way> {
  return {
    [`kill -9 of the ${role} agent`]: {
      weight: 3,
      longestMs: 2_000,
      breakIt: () => signalAgents(host, role, 'KILL'),
      mend: () => superviseAgents(host),
    },
    [`freeze of the ${role} agent`]: {
      weight: 2,
      longestMs: 6_000,
      breakIt: () => signalAgents(host, role, 'STOP'),
      mend: () => signalAgents(host, role, 'CONT'),
    },
  }
}

/** Only its disk is left of it: no guest, no bridge, no daemon but those every boot starts. */
async function bootAgain(host: LabHost): Promise<void> {
  await host.start()
  await superviseAgents(host)
}

/** Whatever a failed mending left broken. */
export async function mendRealHosts(lab: Lab): Promise<void> {
  for (const { name } of (await lab.status()).hosts) {
    const host = lab.host(name)
    if ((await host.condition()) === 'frozen') await host.thaw()
    await host.start()
    await host.heal()
    for (const role of ['kvm-host', 'backup-storage']) await signalAgents(host, role, 'CONT')
    await superviseAgents(host)
  }
}
