import type { LabHost } from '#lab/lab.ts'

/** What is on a host, as its own tools tell: nothing of this asks the agent. */
export interface HostSight {
  /** Below /zstack_ps. */
  readonly files: readonly string[]
  readonly disks: readonly DiskFile[]
  readonly domains: readonly Domain[]
  readonly links: readonly Link[]
  readonly namespaces: readonly string[]
  /** Command lines. */
  readonly processes: readonly string[]
  /** Name of each table, and the elements of its sets. */
  readonly tables: ReadonlyMap<string, Table>
  /** Reservations `MAC IP` by the configuration file of each running dnsmasq. */
  readonly reservations: ReadonlyMap<string, readonly string[]>
  /** What is kept of flat networks and migrations: files and directories. */
  readonly remains: readonly string[]
}

export interface DiskFile {
  readonly path: string
  readonly virtualSize: number
  readonly backing: string | undefined
}

export interface Domain {
  readonly name: string
  /** As virsh says it: `running`, `paused`, `shut off`. */
  readonly state: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly disks: readonly string[]
  /** `MAC tap bridge` of each NIC. */
  readonly nics: readonly string[]
}

export interface Link {
  readonly name: string
  readonly master: string | undefined
  readonly isUp: boolean
}

interface Table {
  /** `MAC IP` */
  readonly leases: readonly string[]
  /** `tap MAC` */
  readonly taps: readonly string[]
}

const script = `
section() { printf '=== %s\\n' "$*"; }
section files
find /zstack_ps -type f
find /zstack_ps -type d -empty -name 'vol-*'
for path in $(find /zstack_ps -name '*.qcow2'); do
  section disk $path; qemu-img info -U --output=json $path
done
for name in $(virsh -q list --all --name); do
  section domain $name $(virsh -q domstate $name); virsh -q dumpxml $name
done
section links; ip -j link
section namespaces; ls /run/netns 2>/dev/null
section processes
for pid in /proc/[0-9]*; do tr '\\0' ' ' < $pid/cmdline 2>/dev/null; echo; done
for name in $(nft list tables bridge | sed 's/table bridge //'); do
  section table $name; nft list table bridge $name
done
for pid in $(pgrep -x dnsmasq); do
  conf=$(tr '\\0' '\\n' < /proc/$pid/cmdline | sed -n 's/^--conf-file=//p')
  section dnsmasq $conf; cat $conf
done
section remains
find /var/lib/zstack/flat -mindepth 1 -maxdepth 1 2>/dev/null
find /run/zstack/migration -mindepth 1 2>/dev/null
exit 0`

export async function lookAtHost(host: LabHost): Promise<HostSight> {
  const { stdout } = await host.exec(['sh', '-c', script], { timeoutMs: 20_000 })
  const sections = stdout.split(/^=== /m).slice(1).map(splitSection)
  const all = (kind: string) => sections.filter(({ words }) => words[0] === kind)
  const lines = (kind: string) =>
    all(kind).flatMap(({ body }) => body.split('\n').filter((line) => line.trim()))
  return {
    files: lines('files'),
    disks: all('disk').map(({ words, body }) => readDisk(words[1] ?? '', body)),
    domains: all('domain').map(({ words: [, name = '', ...state], body }) =>
      readDomain(name, state.join(' '), body),
    ),
    links: readLinks(all('links')[0]?.body ?? '[]'),
    namespaces: lines('namespaces'),
    processes: lines('processes'),
    tables: new Map(all('table').map(({ words, body }) => [words[1] ?? '', readTable(body)])),
    reservations: new Map(all('dnsmasq').map(({ words, body }) => [words[1] ?? '', readReservations(body)])),
    remains: lines('remains'),
  }
}

function splitSection(text: string): { words: string[]; body: string } {
  const end = text.indexOf('\n')
  return { words: text.slice(0, end).trim().split(' '), body: text.slice(end + 1) }
}

function readDisk(path: string, json: string): DiskFile {
  // A file that goes while it is looked at, or is no disk, has no size.
  if (!json.startsWith('{')) return { path, virtualSize: -1, backing: undefined }
  const info = JSON.parse(json) as { 'virtual-size': number; 'full-backing-filename'?: string }
  return { path, virtualSize: info['virtual-size'], backing: info['full-backing-filename'] }
}

function readDomain(name: string, state: string, xml: string): Domain {
  const blocks = (tag: string) => [...xml.matchAll(new RegExp(`<${tag} [^]*?</${tag}>`, 'g'))].map(([b]) => b)
  const of = (text: string, pattern: RegExp) => pattern.exec(text)?.[1] ?? '?'
  return {
    ...{ name, state },
    cpus: Number(of(xml, /<vcpu[^>]*>(\d+)</)),
    memoryBytes: Number(of(xml, /<memory unit='KiB'>(\d+)</)) * 1024,
    disks: blocks('disk').map((disk) => of(disk, /<source file='([^']*)'/)),
    nics: blocks('interface').map((nic) =>
      [/<mac address='([^']*)'/, /<target dev='([^']*)'/, /<source bridge='([^']*)'/]
        .map((pattern) => of(nic, pattern))
        .join(' '),
    ),
  }
}

function readLinks(json: string): Link[] {
  const links = JSON.parse(json) as { ifname: string; master?: string; flags: string[] }[]
  return links.map(({ ifname, master, flags }) => ({ name: ifname, master, isUp: flags.includes('UP') }))
}

function readTable(text: string): Table {
  const pairs = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, a, b]) => `${a} ${b}`)
  return {
    leases: pairs(/([0-9a-f]{2}(?::[0-9a-f]{2}){5}) \. (\d+\.\d+\.\d+\.\d+)/g),
    taps: pairs(/"([^"]+)" \. ([0-9a-f]{2}(?::[0-9a-f]{2}){5})/g),
  }
}

const readReservations = (conf: string) =>
  [...conf.matchAll(/^dhcp-host=([^,]*),.*,(\d+\.\d+\.\d+\.\d+)$/gm)].map(([, mac, ip]) => `${mac} ${ip}`)
