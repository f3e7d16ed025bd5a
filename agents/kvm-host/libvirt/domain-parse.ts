import { XMLParser } from 'fast-xml-parser'
import { isOurName, METADATA_NAMESPACE } from './identity.ts'

/** A disk or CD-ROM drive as libvirt has it. */
export interface LiveDisk {
  readonly device: 'disk' | 'cdrom'
  /** Empty for an empty drive. */
  readonly path: string
  readonly target: string
  readonly bus: string
  readonly format: string
  readonly cacheMode: string
  readonly alias: string
}

export interface LiveNic {
  readonly mac: string
  readonly deviceName: string
  readonly bridge: string
  readonly model: string
  readonly alias: string
}

export interface LiveDomain {
  readonly name: string
  readonly uuid: string
  /** Name, uuid and metadata all say that the domain is ours. */
  readonly ours: boolean
  readonly machine: 'q35' | 'pc'
  readonly memoryBytes: number
  readonly cpuNum: number
  readonly disks: readonly LiveDisk[]
  readonly nics: readonly LiveNic[]
  /** The unix socket of the VNC server, when it has one. */
  readonly vncSocket: string | undefined
}

type Node = { readonly [name: string]: unknown }

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (name) => ['disk', 'interface', 'graphics', 'listen', 'secmodel', 'baselabel'].includes(name),
})

/** Reads what libvirt says about a live domain. */
export function parseDomainXml(xml: string): LiveDomain {
  const domain = child(parser.parse(xml) as Node, 'domain')
  const devices = child(domain, 'devices')
  const name = textOf(domain.name)
  const uuid = textOf(domain.uuid)
  return {
    name,
    uuid,
    ours: isOurName(name, uuid) && saysOurs(child(domain, 'metadata'), name),
    machine: attribute(child(child(domain, 'os'), 'type'), 'machine').includes('q35') ? 'q35' : 'pc',
    memoryBytes: toBytes(domain.currentMemory ?? domain.memory),
    cpuNum: Number(textOf(domain.vcpu)),
    disks: list(devices.disk).map(parseDisk),
    nics: list(devices.interface).map(parseNic),
    vncSocket: findVncSocket(list(devices.graphics)),
  }
}

/** User and group QEMU runs as, from libvirt's capabilities; undefined when libvirt does not separate it from root. */
export function parseQemuOwner(
  capabilities: string,
): { readonly uid: number; readonly gid: number } | undefined {
  const host = child(child(parser.parse(capabilities) as Node, 'capabilities'), 'host')
  const dac = list(host.secmodel).find((model) => textOf(model.model) === 'dac')
  const match = /^\+(\d+):\+(\d+)$/.exec(textOf(list(dac?.baselabel)[0]))
  return match === null ? undefined : { uid: Number(match[1]), gid: Number(match[2]) }
}

function saysOurs(metadata: Node, vmUuid: string): boolean {
  return Object.entries(metadata).some(([tag, value]) => {
    const prefix = /^(?:(.+):)?vm$/.exec(tag)
    if (prefix === null) return false
    const namespace = attribute(value as Node, prefix[1] === undefined ? 'xmlns' : `xmlns:${prefix[1]}`)
    return namespace === METADATA_NAMESPACE && attribute(value as Node, 'uuid') === vmUuid
  })
}

function parseDisk(disk: Node): LiveDisk {
  const driver = child(disk, 'driver')
  return {
    device: attribute(disk, 'device') === 'cdrom' ? 'cdrom' : 'disk',
    path: attribute(child(disk, 'source'), 'file'),
    target: attribute(child(disk, 'target'), 'dev'),
    bus: attribute(child(disk, 'target'), 'bus'),
    format: attribute(driver, 'type'),
    // libvirt leaves the attribute out when nobody chose; QEMU then does write-back.
    cacheMode: attribute(driver, 'cache') || 'writeback',
    alias: attribute(child(disk, 'alias'), 'name'),
  }
}

function parseNic(nic: Node): LiveNic {
  return {
    mac: attribute(child(nic, 'mac'), 'address').toLowerCase(),
    deviceName: attribute(child(nic, 'target'), 'dev'),
    bridge: attribute(child(nic, 'source'), 'bridge'),
    model: attribute(child(nic, 'model'), 'type'),
    alias: attribute(child(nic, 'alias'), 'name'),
  }
}

function findVncSocket(graphics: readonly Node[]): string | undefined {
  const vnc = graphics.find((g) => attribute(g, 'type') === 'vnc')
  if (vnc === undefined) return undefined
  const listen = list(vnc.listen).find((l) => attribute(l, 'type') === 'socket')
  return attribute(vnc, 'socket') || attribute(listen ?? {}, 'socket') || undefined
}

const UNIT_BYTES: Readonly<Record<string, number>> = { b: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

function toBytes(memory: unknown): number {
  const unit = typeof memory === 'object' && memory !== null ? attribute(memory as Node, 'unit') : ''
  return Number(textOf(memory)) * (UNIT_BYTES[unit || 'KiB'] ?? Number.NaN)
}

function child(node: Node, name: string): Node {
  const value = node[name]
  if (typeof value === 'string') return { '#text': value }
  return typeof value === 'object' && value !== null ? (value as Node) : {}
}

function list(value: unknown): Node[] {
  if (value === undefined) return []
  return (Array.isArray(value) ? value : [value]) as Node[]
}

function attribute(node: Node, name: string): string {
  const value = node[`@${name}`]
  return typeof value === 'string' ? value : ''
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  const text = typeof value === 'object' && value !== null ? (value as Node)['#text'] : undefined
  return typeof text === 'string' ? text : ''
}
