/**
 * The lab's switch: one network namespace with a bridge for the management network (br-mgmt, the hosts' eth0)
 * and one for the guests (br-vm, the hosts' eth1). The namespace itself is address .1 on both, so whatever
 * runs in it, such as the management server, reaches hosts and guests. The way out of the lab is slirp4netns,
 * a process in user space: nothing is changed in the machine's own network.
 */
import { spawn } from 'node:child_process'
import { access, open, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { waitFor } from '#kernel'
import { runCommand } from './command.ts'
import { cgroupDir, HOST_INIT, type LabConfig, NAT_PREFIX, networkNamespace, stateDir } from './config.ts'
import { LabError } from './error.ts'
import type { NatState } from './state.ts'

const RULES = (config: LabConfig) => `
table bridge lab {
  set pairs { type ifname . ifname; }
  set alone { type ifname; }
  chain between { type filter hook forward priority 0; iifname . oifname @pairs drop; }
  chain to_switch { type filter hook input priority 0; iifname @alone drop; }
  chain from_switch { type filter hook output priority 0; oifname @alone drop; }
}
table ip lab {
  chain out {
    type nat hook postrouting priority srcnat;
    ip saddr { ${config.managementPrefix}.0/24, ${config.guestPrefix}.0/24 } oifname "nat0" masquerade
  }
}
`

/** argv prefix that runs a command in the switch, in the cgroup that is killed with the lab. */
export function switchCommand(lab: string, argv: readonly string[]): string[] {
  const group = join(cgroupDir(lab), 'switch')
  return [HOST_INIT, 'enter', group, 'nsenter', `--net=${namespacePath(lab)}`, '--', ...argv]
}

export async function runInSwitch(lab: string, argv: readonly string[]): Promise<string> {
  return (await runCommand(['nsenter', `--net=${namespacePath(lab)}`, '--', ...argv])).stdout
}

export async function switchExists(lab: string): Promise<boolean> {
  return access(namespacePath(lab)).then(
    () => true,
    () => false,
  )
}

export async function createSwitch(config: LabConfig): Promise<void> {
  const lab = config.name
  await runCommand(['ip', 'netns', 'add', networkNamespace(lab)])
  const links = ['link set lo up']
  for (const [bridge, prefix] of [
    ['br-mgmt', config.managementPrefix],
    ['br-vm', config.guestPrefix],
  ]) {
    links.push(`link add ${bridge} type bridge forward_delay 0 stp_state 0`)
    links.push(`addr add ${prefix}.1/24 dev ${bridge}`, `link set ${bridge} up`)
  }
  await runCommand(['ip', '-n', networkNamespace(lab), '-batch', '-'], { input: `${links.join('\n')}\n` })
  await runInSwitch(lab, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.ping_group_range=0 2147483647'])
  await runCommand(['nsenter', `--net=${namespacePath(lab)}`, '--', 'nft', '-f', '-'], {
    input: RULES(config),
  })
}

export async function removeSwitch(lab: string): Promise<void> {
  if (await switchExists(lab)) await runCommand(['ip', 'netns', 'del', networkNamespace(lab)])
}

/** Starts the way out. A machine where slirp4netns cannot run gives a lab without one, and says so. */
export async function startNat(config: LabConfig): Promise<NatState> {
  if (!config.nat) return { on: false, reason: 'switched off' }
  const logPath = join(stateDir(config.name), 'nat.log')
  const log = await open(logPath, 'w')
  try {
    return await launchSlirp(config, log.fd)
  } catch (cause) {
    const said = (await runCommand(['tail', '-n', '3', logPath])).stdout.trim()
    return { on: false, reason: `${(cause as Error).message}${said && `; slirp4netns said: ${said}`}` }
  } finally {
    await log.close()
  }
}

async function launchSlirp(config: LabConfig, logFd: number): Promise<NatState> {
  const socket = natSocket(config.name)
  await rm(socket, { force: true })
  const argv = [
    'slirp4netns',
    '--configure',
    '--mtu=1500',
    '--disable-host-loopback',
    `--cidr=${NAT_PREFIX}.0/24`,
  ]
  argv.push(`--api-socket=${socket}`, '--netns-type=path', namespacePath(config.name), 'nat0')
  const group = join(cgroupDir(config.name), 'switch')
  const child = spawn(HOST_INIT, ['enter', group, ...argv], {
    detached: true,
    stdio: ['ignore', logFd, logFd],
  })
  let ended: string | undefined
  child.on('error', (error) => {
    ended = error.message
  })
  child.on('exit', (status) => {
    ended = `slirp4netns ended with status ${status}`
  })
  child.unref()
  await waitFor(
    'slirp4netns to bring up nat0',
    async () => {
      if (ended) return true
      return (await runInSwitch(config.name, ['ip', '-4', 'route', 'show', 'default'])).includes('nat0')
    },
    { timeoutMs: 3000 },
  )
  if (ended) throw new LabError(ended)
  return { on: true, pid: child.pid as number, resolver: `${NAT_PREFIX}.3` }
}

export interface Forward {
  /** Address and port of the machine to listen on; keep it a loopback address. */
  listen: string
  port: number
  /** Port in the switch namespace, which must be served on 0.0.0.0 or on the address of nat0. */
  toPort: number
}

/** Lets the machine's users reach a server that runs in the switch. Ends with the lab. */
export async function forwardPort(lab: string, { listen, port, toPort }: Forward): Promise<void> {
  const target = { proto: 'tcp', host_addr: listen, host_port: port, guest_port: toPort }
  const reply = await askSlirp(lab, { execute: 'add_hostfwd', arguments: target })
  if ('error' in reply) throw new LabError(`cannot forward ${listen}:${port}: ${JSON.stringify(reply.error)}`)
}

function askSlirp(lab: string, request: object): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const socket = connect(natSocket(lab))
    let text = ''
    socket.on('error', (cause) => reject(new LabError(`lab ${lab} has no NAT to forward through`, { cause })))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('end', () => resolve(JSON.parse(text || '{"error":"no answer"}')))
    socket.end(JSON.stringify(request))
  })
}

/** Pulls or plugs the cables of a host (all its ports), or drops or passes frames between two ends. */
export async function setPorts(lab: string, host: string, up: boolean): Promise<void> {
  const lines = portsOf(host).map((port) => `link set ${port} ${up ? 'up' : 'down'}\n`)
  await runCommand(['ip', '-n', networkNamespace(lab), '-force', '-batch', '-'], {
    input: lines.join(''),
    // ports of a host that is off do not exist; its next boot looks at the cut mark instead
    allowFailure: true,
  })
}

/** `peer` is another host, or `switch` for whatever runs in the switch namespace (the management server). */
export async function setBlocked(
  lab: string,
  pair: readonly [string, string],
  blocked: boolean,
): Promise<void> {
  const [host, peer] = pair
  const verb = blocked ? 'add' : 'delete'
  const elements = portsOf(host).flatMap((port, index) => {
    if (peer === 'switch') return [`alone { ${port} }`]
    const other = portsOf(peer)[index]
    return [`pairs { ${port} . ${other} }`, `pairs { ${other} . ${port} }`]
  })
  const script = elements.map((element) => `${verb} element bridge lab ${element}\n`).join('')
  await runCommand(['nsenter', `--net=${namespacePath(lab)}`, '--', 'nft', '-f', '-'], {
    input: script,
    // healing what was not cut is fine
    allowFailure: !blocked,
  })
}

export function portsOf(host: string): [string, string] {
  return [`m-${host}`, `v-${host}`]
}

export async function removePorts(lab: string, host: string): Promise<void> {
  const lines = portsOf(host).map((port) => `link del ${port}\n`)
  // the kernel removes them with the host's namespace as well; whoever is first wins
  await runCommand(['ip', '-n', networkNamespace(lab), '-force', '-batch', '-'], {
    input: lines.join(''),
    allowFailure: true,
  })
}

function namespacePath(lab: string): string {
  return `/run/netns/${networkNamespace(lab)}`
}

function natSocket(lab: string): string {
  return join(stateDir(lab), 'nat.sock')
}
