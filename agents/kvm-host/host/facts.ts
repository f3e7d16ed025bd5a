import { readFile } from 'node:fs/promises'
import { arch, hostname } from 'node:os'

/** Files facts are read from; the usual places below `root`, which is `/` except in tests. */
export async function readSystemFacts(root = '/') {
  const read = (path: string) => readFile(`${root}${path}`, 'utf8')
  const os = parseOsRelease(await read('etc/os-release'))
  const cpu = parseCpuInfo(await read('proc/cpuinfo'))
  const totalMemoryBytes = parseMemInfo(await read('proc/meminfo')).totalBytes
  const bootId = (await read('proc/sys/kernel/random/boot_id')).trim()
  const uptimeSeconds = Number((await read('proc/uptime')).split(' ')[0])
  return {
    hostname: hostname(),
    osDistribution: os.get('ID') ?? 'unknown',
    osRelease: os.get('VERSION_CODENAME') ?? os.get('VERSION_ID') ?? 'unknown',
    osVersion: os.get('VERSION_ID') ?? 'unknown',
    architecture: architectureName(),
    ...cpu,
    totalMemoryBytes,
    bootId,
    bootedAt: Math.round(Date.now() - uptimeSeconds * 1000),
  }
}

/** Memory of the host and how much of it is in use, without the caches the kernel gives back when asked. */
export async function readMemory(root = '/'): Promise<{ totalMemoryBytes: number; usedMemoryBytes: number }> {
  const { totalBytes, availableBytes } = parseMemInfo(await readFile(`${root}proc/meminfo`, 'utf8'))
  return { totalMemoryBytes: totalBytes, usedMemoryBytes: totalBytes - availableBytes }
}

/** `7002022` as libvirt tells versions, to `7.2.22`. */
export function versionText(version: number): string {
  return `${Math.floor(version / 1_000_000)}.${Math.floor(version / 1000) % 1000}.${version % 1000}`
}

/** The boot this host is in; changes at each boot. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** KEY=value lines with shell quotes, as os-release(5) has them. */
export function parseOsRelease(text: string): Map<string, string> {
  const lines = text.split('\n').map((line) => /^([A-Z0-9_]+)=(.*)$/.exec(line.trim()))
  return new Map(
    lines.flatMap((m) => (m === null ? [] : [[m[1] as string, unquote(m[2] as string)] as const])),
  )
}

function unquote(value: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(value)
  return quoted === null ? value : (quoted[2] as string).replace(/\\(["'\\$`])/g, '$1')
}

/** Model, number of CPUs and sockets from /proc/cpuinfo. */
export function parseCpuInfo(text: string): { cpuModel: string; cpuNum: number; cpuSockets: number } {
  const values = (key: RegExp) =>
    text.split('\n').flatMap((line) => {
      const [name = '', value = ''] = line.split(':', 2)
      return key.test(name.trim()) ? [value.trim()] : []
    })
  const cpuNum = values(/^processor$/).length
  return {
    cpuModel: values(/^(model name|Model|cpu model)$/)[0] ?? 'unknown',
    cpuNum,
    cpuSockets: Math.max(1, new Set(values(/^physical id$/)).size),
  }
}

function parseMemInfo(text: string): { totalBytes: number; availableBytes: number } {
  const kib = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN)
  return { totalBytes: kib('MemTotal') * 1024, availableBytes: kib('MemAvailable') * 1024 }
}

function architectureName(): string {
  const names: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }
  return names[arch()] ?? arch()
}
