import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNetworkHandlers, type NetworkArea } from '#agents/kvm-host/network/create-network-handlers.ts'
import { type Run, runCommand } from '#agents/kvm-host/network/run-command.ts'
import { Scope, silentLogger } from '#kernel'

/**
 * Two hosts and pretend VMs, each a network namespace whose name starts with `prefix`, on an underlay switch that is a
 * namespace too. Nothing of the machine's own network is touched.
 */

export type HostName = 'A' | 'B'

export interface LabVm {
  readonly namespace: string
  readonly tap: string
  readonly mac: string
}

const LEASE_SCRIPT = `#!/bin/sh
case $1 in
deconfig) ip addr flush dev $interface; ip link set $interface up;;
bound|renew) ip addr replace $ip/$mask dev $interface
  set -- "$1" $staticroutes
  event=$1; shift; all="$*"
  while [ -n "$1" ]; do
    if [ "$2" = 0.0.0.0 ]; then ip route replace $1 dev $interface; else ip route replace $1 via $2 dev $interface; fi
    shift 2
  done
  echo "LEASE event=$event|ip=$ip/$mask|router=$router|dns=$dns|host=$hostname|domain=$domain|mtu=$mtu|server=$serverid|routes=$all";;
esac
`

const REQUEST_SCRIPT = `
const print = (text) => process.stdout.write(text)
require('http').request({ ...JSON.parse(process.argv[1]), signal: AbortSignal.timeout(1000) }, (response) => {
  print(response.statusCode + ' ')
  response.pipe(process.stdout)
}).on('error', (e) => print(e.name === 'AbortError' || e.code === 'ECONNREFUSED' ? 'none' : e.message)).end()
`

/** Runs commands in a namespace, as an agent's runner would run them on a host. */
export function runIn(namespace: string, seen?: string[]): Run {
  return (argv, options) => {
    seen?.push(argv.join(' '))
    return runCommand(['nsenter', `--net=/run/netns/${namespace}`, ...argv], options)
  }
}

export class NetworkLab {
  readonly scope = new Scope()
  readonly dir: string
  /** Every command the agent of a host has run. */
  readonly commands: Record<HostName, string[]> = { A: [], B: [] }

  readonly prefix: string

  private constructor(prefix: string, dir: string) {
    this.prefix = prefix
    this.dir = dir
  }

  /** Namespaces `<prefix>U` for the switch, `<prefix>A` and `<prefix>B` for the hosts, `<prefix>v1` … for VMs. */
  static async create(prefix: string): Promise<NetworkLab> {
    const dir = await mkdtemp(join(tmpdir(), `${prefix}-`))
    const lab = new NetworkLab(prefix, dir)
    lab.scope.onDispose(() => rm(dir, { recursive: true, force: true }))
    await writeFile(join(dir, 'lease.sh'), LEASE_SCRIPT, { mode: 0o755 })
    await lab.namespace(`${prefix}U`)
    await lab.underlay('br0', 'eth0', '10.97.0')
    await lab.underlay('br1', 'eth1')
    return lab
  }

  host(name: HostName): Run {
    return runIn(`${this.prefix}${name}`)
  }

  /** A new agent of the host over the files of the earlier one. */
  agent(name: HostName): NetworkArea {
    return createNetworkHandlers({
      log: silentLogger,
      run: runIn(`${this.prefix}${name}`, this.commands[name]),
      stateRoot: join(this.dir, name),
      namespacePrefix: `${this.prefix}${name}-`,
    })
  }

  async vm(number: number, host: HostName, bridge: string): Promise<LabVm> {
    const vm = {
      namespace: `${this.prefix}v${number}`,
      tap: `vnic${number}.0`,
      mac: `fa:00:00:00:00:0${number}`,
    }
    await this.namespace(vm.namespace)
    const peer = ['type', 'veth', 'peer', 'name', vm.tap, 'netns', `${this.prefix}${host}`]
    await runCommand(['ip', '-n', vm.namespace, 'link', 'add', 'eth0', 'address', vm.mac, ...peer])
    await this.host(host)(['ip', 'link', 'set', 'dev', vm.tap, 'master', bridge, 'up'])
    await runCommand(['ip', '-n', vm.namespace, 'link', 'set', 'eth0', 'up'])
    return vm
  }

  /** Like a live migration: the guest keeps everything, its port appears on the other host. */
  async moveVm(vm: LabVm, from: HostName, to: HostName, bridge: string): Promise<void> {
    await this.host(from)(['ip', 'link', 'set', 'dev', vm.tap, 'netns', `${this.prefix}${to}`])
    await this.host(to)(['ip', 'link', 'set', 'dev', vm.tap, 'master', bridge, 'up'])
  }

  /** One try to get a lease; undefined when nobody answered within two seconds. */
  async lease(vm: LabVm): Promise<Record<string, string> | undefined> {
    const { stdout } = await runIn(vm.namespace)([...this.#client(), '-q', '-n', '-t', '2', '-T', '1'], {
      okCodes: [1],
    })
    return parseLease(stdout.split('\n').find((line) => line.startsWith('LEASE ')))
  }

  /** A DHCP client that stays; SIGUSR1 makes it renew. `lines` grows as it reports. */
  stayingClient(vm: LabVm): { child: ChildProcessWithoutNullStreams; output: () => string } {
    const [file = '', ...args] = ['nsenter', `--net=/run/netns/${vm.namespace}`, ...this.#client(), '-f']
    return this.start(file, args)
  }

  /** A process that ends with the lab. */
  start(file: string, args: readonly string[]) {
    const child = spawn(file, args)
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    this.scope.onDispose(async () => {
      child.kill('SIGKILL')
      await ended
    })
    return { child, output: () => text }
  }

  /** Status and body of an HTTP request from the VM to the metadata address; `none` when nobody answered within a second. */
  async request(
    vm: LabVm,
    path: string,
    options: { method?: string; headers?: object } = {},
  ): Promise<string> {
    const wanted = JSON.stringify({ host: '169.254.169.254', path, ...options })
    return (await runIn(vm.namespace)([process.execPath, '-e', REQUEST_SCRIPT, wanted])).stdout
  }

  /** All of a host that an agent may change. IPv6 link-local parts, which come and go by themselves, are left out. */
  async snapshot(host: HostName): Promise<string> {
    const run = this.host(host)
    const files = join(this.dir, host)
    const shown = await Promise.all([
      run(['ip', '-br', 'link']),
      run(['ip', '-br', '-4', 'addr']),
      run(['ip', '-4', 'route', 'show', 'table', 'all']),
      run(['ip', '-6', 'addr', 'show', 'scope', 'global', 'to', '2001:db8::/32']),
      run(['ip', '-6', 'route', 'show', 'default']),
      run(['nft', 'list', 'tables']),
      runCommand(['find', '/run/netns', '-name', `${this.prefix}${host}-*`]),
      runCommand(['find', this.dir, '-path', `${files}/flat/*`]),
      runCommand(['pgrep', '-af', `dnsmasq --conf-file=${files}/`], { okCodes: [1] }),
    ])
    return shown.map((result) => result.stdout.replace(/@if\d+/g, '').replace(/^\d+: /gm, '')).join('\n')
  }

  async namespace(name: string): Promise<void> {
    await runCommand(['ip', 'netns', 'add', name])
    this.scope.onDispose(async () => {
      await runCommand(['ip', 'netns', 'del', name])
    })
    await runCommand(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
  }

  /** Switch `bridge` with a cable to `nic` of both hosts; with a network, hosts have .1 and .2 and the switch .254. */
  private async underlay(bridge: string, nic: string, network?: string): Promise<void> {
    const ip = ['ip', '-n', `${this.prefix}U`]
    await runCommand([...ip, 'link', 'add', bridge, 'type', 'bridge'])
    await runCommand([...ip, 'link', 'set', bridge, 'up'])
    if (network !== undefined) await runCommand([...ip, 'addr', 'add', `${network}.254/24`, 'dev', bridge])
    for (const [host, last] of [
      ['A', 1],
      ['B', 2],
    ] as const) {
      if (nic === 'eth0') await this.namespace(`${this.prefix}${host}`)
      const port = `${nic}${host}`
      const run = this.host(host)
      await run(['ip', 'link', 'add', nic, 'type', 'veth', 'peer', 'name', port, 'netns', `${this.prefix}U`])
      await runCommand([...ip, 'link', 'set', port, 'master', bridge, 'up'])
      await run(['ip', 'link', 'set', nic, 'up'])
      if (network === undefined) continue
      await run(['ip', 'addr', 'add', `${network}.${last}/24`, 'brd', '+', 'dev', nic])
      await run(['ip', 'route', 'add', 'default', 'via', `${network}.254`, 'metric', '7'])
    }
  }

  #client(): string[] {
    const wanted = ['staticroutes', 'mtu', 'hostname', 'domain'].flatMap((name) => ['-O', name])
    return ['busybox', 'udhcpc', '-i', 'eth0', '-s', join(this.dir, 'lease.sh'), ...wanted]
  }
}

export function parseLease(line: string | undefined): Record<string, string> | undefined {
  if (line === undefined) return undefined
  const pairs = line.slice('LEASE '.length).split('|')
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  )
}
