/**
 * Proves that a test run leaves the machine as it found it: a snapshot before, one after, and the difference.
 * What counts is what this project makes: daemons and guests, namespaces, mounts, links, cgroups, loop
 * devices, rules and state files.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { cgroupRoot } from './config.ts'

/** Each category is a list of readable lines; equal things give equal lines in both snapshots. */
export interface Snapshot {
  processes: string[]
  networkNamespaces: string[]
  mounts: string[]
  links: string[]
  rules: string[]
  cgroups: string[]
  loopDevices: string[]
  files: string[]
}

const DAEMONS =
  /qemu|libvirtd|virtlog|virtlock|dnsmasq|slirp4netns|host-init\.sh|sshd|haproxy|keepalived|swtpm/
const NODE_PROGRAMS = /\/(agents|server|lab)\/\S*\.ts/
const MACHINES_OWN: readonly (keyof Snapshot)[] = ['links', 'rules', 'mounts']
const OUR_DIRECTORIES = ['/dev/shm', '/var/lib', '/run', '/tmp', '/etc', '/var/log']
/** Not the test runner's own folders: it removes them after it has asked us. */
const OUR_FILES = /^zstack(?!-test-\d)|^zs-/

export async function snapshot(): Promise<Snapshot> {
  const [processes, networkNamespaces, mounts, links, rules, cgroups, loopDevices, files] = await Promise.all(
    [
      listProcesses(),
      listNames('/run/netns'),
      listMounts(),
      listNames('/sys/class/net'),
      listRules(),
      listCgroups(cgroupRoot()),
      listLoopDevices(),
      listFiles(),
    ],
  )
  return { processes, networkNamespaces, mounts, links, rules, cgroups, loopDevices, files }
}

/** One line for each thing that is there now and was not before (`+`); `-` for what the machine lost. */
export function diff(before: Snapshot, after: Snapshot): string[] {
  return (Object.keys(before) as (keyof Snapshot)[]).flatMap((category) => {
    const added = subtract(after[category], before[category]).map((line) => `+ ${category}: ${line}`)
    const gone = subtract(before[category], after[category]).map((line) => `- ${category}: ${line}`)
    const left = added.filter((line) => !isOfEarlierLab(before, line) && !isOfAnotherRun(line))
    // only what was the machine's before can be missed: its links, rules and mounts
    return MACHINES_OWN.includes(category) ? [...left, ...gone] : left
  })
}

/** What runs in a lab that was up before may come and go. */
function isOfEarlierLab(before: Snapshot, line: string): boolean {
  const group = line.match(/ in (\/zstack-lab-[^/ ]+)/)?.[1]
  return group !== undefined && before.cgroups.includes(join(cgroupRoot(), group))
}

/** By custom, the name of a test's lab or directory ends in its maker's pid; a living maker still cleans up. */
function isOfAnotherRun(line: string): boolean {
  const maker = line.match(/(?:zstack|zs)-[a-z0-9-]*?-(\d+)(?![\w-])/)?.[1]
  return maker !== undefined && Number(maker) !== process.pid && existsSync(`/proc/${maker}`)
}

function subtract(from: readonly string[], what: readonly string[]): string[] {
  const known = new Set(what)
  return from.filter((line) => !known.has(line))
}

async function listProcesses(): Promise<string[]> {
  const pids = (await listNames('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = pids.map(async (pid) => {
    try {
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim()
      if (!isOurs(command) || Number(pid) === process.pid) return undefined
      const group = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).match(/^0::(.*)$/m)?.[1] ?? '?'
      return `${pid} in ${group} ${await readlink(`/proc/${pid}/ns/net`)}: ${command.slice(0, 160)}`
    } catch {
      // it ended while we looked
      return undefined
    }
  })
  return (await Promise.all(lines)).filter((line) => line !== undefined)
}

const isOurs = (command: string) => DAEMONS.test(command) || NODE_PROGRAMS.test(command)

async function listMounts(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).trim().split('\n')
  const mounts = lines.map((line) => {
    const [device, root, path] = line.split(' ').slice(2)
    return `${path} (${device} ${root})`
  })
  // the directory itself becomes a mount with the first `ip netns add` of the machine's life and stays one
  return mounts.filter((line) => !line.startsWith('/run/netns ('))
}

async function listRules(): Promise<string[]> {
  const commands = [
    ['nft', 'list', 'tables'],
    ['ip', 'rule'],
    ['ip', 'route'],
    ['ip', '-br', 'addr'],
  ]
  const outputs = await Promise.all(commands.map((argv) => runCommand(argv, { allowFailure: true })))
  return outputs.flatMap(({ stdout }) => stdout.split('\n').map((line) => line.trim())).filter(Boolean)
}

async function listCgroups(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name))
  return [...below, ...(await Promise.all(below.map(listCgroups))).flat()]
}

async function listLoopDevices(): Promise<string[]> {
  const names = (await listNames('/sys/block')).filter((name) => name.startsWith('loop'))
  const lines = names.map(async (name) => {
    // a device without a file behind it lacks this entry
    const backing = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')
    return backing === '' ? [] : [`${name} on ${backing.trim()}`]
  })
  return (await Promise.all(lines)).flat()
}

async function listFiles(): Promise<string[]> {
  const lists = OUR_DIRECTORIES.map(async (dir) => {
    const names = (await listNames(dir)).filter((name) => OUR_FILES.test(name))
    const paths = names.map((name) => join(dir, name))
    return [...paths, ...(await Promise.all(paths.map(listBelow))).flat()]
  })
  return (await Promise.all(lists)).flat()
}

/** One level is enough to see which lab or which run a file belongs to. */
async function listBelow(path: string): Promise<string[]> {
  return (await listNames(path)).map((name) => join(path, name))
}

async function listNames(dir: string): Promise<string[]> {
  // a directory that is not there holds nothing
  return readdir(dir).catch(() => [])
}
