/**
 * What tells one lab from another. Everything a lab makes carries its name: the network namespace and the
 * cgroup `zstack-lab-NAME`, the state directory /dev/shm/zstack-lab-NAME and the disk directory. Two labs
 * never share anything, so their addresses may be the same.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { LabError } from './error.ts'

export type InitKind = 'mini' | 'systemd'

export interface LabOptions {
  /** Default `zs`. */
  name?: string
  /** pid 1 of the hosts: `mini` (sshd and libvirtd only, fast) or `systemd`. Default `mini`. */
  init?: InitKind
  /** Root password of the hosts; random when absent. */
  password?: string
  /** First three octets of the management network (/24). Default 10.98.0. */
  managementPrefix?: string
  /** First three octets of the guests' network (/24). Default 10.99.0. */
  guestPrefix?: string
  /** Where `/zstack_ps` of the hosts really lives; a directory of the lab's name is made in it. */
  diskDir?: string
  /** Outbound network for hosts and guests through slirp4netns. Default true. */
  nat?: boolean
  /** Give the hosts /dev/kvm. Default false: most nested machines cannot run guests on it. */
  kvm?: boolean
  /** More directories of the machine that hosts must not see. */
  hide?: readonly string[]
}

/** The settled form of the options; stored with the lab, so later calls need only the name. */
export interface LabConfig {
  name: string
  init: InitKind
  password: string
  managementPrefix: string
  guestPrefix: string
  diskDir: string
  nat: boolean
  kvm: boolean
  hide: readonly string[]
}

export const DEFAULT_LAB = 'zs'
/**
 * slirp4netns takes the first usable addresses of this network for gateway (.2), resolver (.3) and itself
 * (.100).
 */
export const NAT_PREFIX = '10.97.255'
export const FIRST_HOST_OCTET = 11
export const MAX_HOSTS = 200

const REPOSITORY = resolve(import.meta.dirname, '..')
const SHARED_DIRECTORIES = new Set(['/usr', '/opt', '/var', '/srv', '/etc', '/lib', '/bin', '/sbin', '/run'])

export function settleConfig(options: LabOptions): LabConfig {
  const name = checkLabName(options.name ?? DEFAULT_LAB)
  const password = options.password ?? randomBytes(9).toString('base64url')
  if (/[\s:']/.test(password)) throw new LabError('a lab password may not contain blanks, colons or quotes')
  return {
    name,
    init: checkInit(options.init ?? 'mini'),
    password,
    managementPrefix: checkPrefix(options.managementPrefix ?? '10.98.0'),
    guestPrefix: checkPrefix(options.guestPrefix ?? '10.99.0'),
    diskDir: join(resolve(options.diskDir ?? '/var/lib/zstack-lab'), name),
    nat: options.nat ?? true,
    kvm: options.kvm ?? false,
    hide: [...new Set([...machineDirectoriesToHide(), ...(options.hide ?? [])])],
  }
}

export function checkLabName(name: string): string {
  if (!/^[a-z][a-z0-9-]{0,23}$/.test(name)) {
    throw new LabError(`'${name}' is no lab name: use up to 24 lower-case letters, digits and dashes`)
  }
  return name
}

export function checkHostName(name: string): string {
  if (!/^[a-z][a-z0-9-]{0,11}$/.test(name)) {
    throw new LabError(`'${name}' is no host name: use up to 12 lower-case letters, digits and dashes`)
  }
  return name
}

function checkInit(init: string): InitKind {
  if (init !== 'mini' && init !== 'systemd') throw new LabError(`--init is mini or systemd, not '${init}'`)
  return init
}

function checkPrefix(prefix: string): string {
  const octets = prefix.split('.')
  const valid = octets.length === 3 && octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) < 256)
  if (!valid) throw new LabError(`'${prefix}' is not the first three octets of a network, such as 10.98.0`)
  return prefix
}

/** Keys, tokens and the working tree of whoever runs the lab are nothing a test host should find. */
function machineDirectoriesToHide(): string[] {
  const top = `/${REPOSITORY.split('/')[1]}`
  const project = SHARED_DIRECTORIES.has(top) ? REPOSITORY : top
  const extra = (process.env.ZSTACK_LAB_HIDE ?? '').split(':').filter(Boolean)
  const hidden = [
    '/root',
    '/home',
    '/mnt',
    '/media',
    '/srv',
    '/var/lib/zstack-lab',
    homedir(),
    project,
    ...extra,
  ]
  // A host has a /tmp, /run and /dev of its own; what the machine has there is out of sight anyway.
  const ownInHost = ['/tmp', '/run', '/dev']
  const seen = hidden.filter((path) => !ownInHost.some((own) => path === own || path.startsWith(`${own}/`)))
  return seen.filter((path) => !isBelowAnother(path, seen))
}

function isBelowAnother(path: string, all: readonly string[]): boolean {
  return all.some((other) => other !== path && path.startsWith(`${other}/`))
}

export function networkNamespace(name: string): string {
  return `zstack-lab-${name}`
}

export function stateDir(name: string): string {
  return `/dev/shm/zstack-lab-${name}`
}

/** The lab's group in the cgroup v2 tree, wherever this machine has mounted that. */
export function cgroupDir(name: string): string {
  return join(cgroupRoot(), `zstack-lab-${name}`)
}

export function cgroupRoot(): string {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, path, type] = line.split(' ')
    if (type === 'cgroup2' && path) return path
  }
  throw new LabError('the lab needs cgroup v2: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified')
}

export function hostDir(lab: string, host: string): string {
  return join(stateDir(lab), 'hosts', host)
}

/** Images, kernels and probed capabilities that outlive labs. */
export function cacheDir(): string {
  return process.env.ZSTACK_CACHE ?? join(REPOSITORY, '.zstack', 'cache')
}

export const HOST_INIT = join(import.meta.dirname, 'host-init.sh')
