import { CloudError, sysErrors } from '#kernel'
import type { DiskSpec, NicSpec, VmSpec } from '../contract/vm.ts'
import { domainUuid, METADATA_NAMESPACE } from './identity.ts'
import { element, textElement, toXmlCharacters, writeXml, type XmlElement } from './xml.ts'

/** What the host decides about each domain. */
export interface DomainHost {
  /** Where the text of the first serial port is kept: one file for each VM. */
  readonly serialLogDirectory: string
  /** A source of random numbers for guests, `/dev/urandom`; undefined when the host has none. */
  readonly randomDevice: string | undefined
  /** False on a host without the cpu controller, where libvirt refuses any weight. */
  readonly cpuShares: boolean
}

// Devices plugged later into q35 need a free PCIe port each.
const SPARE_PCIE_PORTS = 12

/** The whole libvirt domain of a VM. */
export function buildDomainXml(vm: VmSpec, host: DomainHost): string {
  const shares = host.cpuShares ? vm.cpuShares : undefined
  return writeXml(
    element('domain', { type: vm.acceleration === 'kvm' ? 'kvm' : 'qemu' }, [
      textElement('name', vm.vmUuid),
      textElement('uuid', domainUuid(vm.vmUuid)),
      textElement('title', toTitle(vm.name)),
      element('metadata', {}, [element('zs:vm', { 'xmlns:zs': METADATA_NAMESPACE, uuid: vm.vmUuid })]),
      textElement('memory', toKib(vm.memoryBytes), { unit: 'KiB' }),
      textElement('currentMemory', toKib(vm.memoryBytes), { unit: 'KiB' }),
      textElement('vcpu', vm.cpuNum, { placement: 'static' }),
      shares !== undefined && element('cputune', {}, [textElement('shares', shares)]),
      element('os', {}, [textElement('type', 'hvm', { arch: 'x86_64', machine: vm.machine })]),
      buildFeatures(vm),
      buildCpu(vm),
      buildClock(),
      textElement('on_poweroff', 'destroy'),
      textElement('on_reboot', 'restart'),
      textElement('on_crash', 'destroy'),
      element('pm', {}, [
        element('suspend-to-mem', { enabled: 'no' }),
        element('suspend-to-disk', { enabled: 'no' }),
      ]),
      element('devices', {}, buildDevices(vm, host)),
    ]),
  )
}

/** A disk to plug into a running domain. */
export function buildDiskXml(disk: DiskSpec, machine: VmSpec['machine']): string {
  return writeXml(diskElement(disk, machine, undefined))
}

/** A network interface to plug into a running domain. */
export function buildNicXml(nic: NicSpec): string {
  return writeXml(nicElement(nic, undefined))
}

/** Alias by which a disk is known in the domain and in events. */
export function diskAlias(volumeUuid: string): string {
  return `ua-vol-${volumeUuid}`
}

/** Alias by which a NIC is known in the domain and in events. */
export function nicAlias(nicUuid: string): string {
  return `ua-nic-${nicUuid}`
}

function buildDevices(vm: VmSpec, host: DomainHost): XmlElement[] {
  const boot = bootPlaces(vm)
  const spare = vm.machine === 'q35' ? SPARE_PCIE_PORTS + vm.disks.length + vm.nics.length : 0
  return [
    textElement('emulator', '/usr/bin/qemu-system-x86_64'),
    ...vm.disks.map((disk) => diskElement(disk, vm.machine, boot.get(disk))),
    ...vm.cdroms.map((cdrom, at) => cdromElement(vm, cdrom, at, boot.get(cdrom))),
    element('controller', { type: 'usb', model: 'none' }),
    vm.machine === 'q35' && element('controller', { type: 'pci', model: 'pcie-root' }),
    ...Array.from({ length: spare }, () => element('controller', { type: 'pci', model: 'pcie-root-port' })),
    ...vm.nics.map((nic) => nicElement(nic, boot.get(nic))),
    element('serial', { type: 'pty' }, [
      element('log', { file: `${host.serialLogDirectory}/${vm.vmUuid}.log`, append: 'on' }),
      element('target', { port: 0 }),
    ]),
    element('console', { type: 'pty' }, [element('target', { type: 'serial', port: 0 })]),
    element('channel', { type: 'unix' }, [
      element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' }),
    ]),
    // libvirt chooses the path of the socket, below a directory that only this domain's QEMU and root may enter.
    element('graphics', { type: 'vnc', passwd: vm.consolePassword }, [element('listen', { type: 'socket' })]),
    element('video', {}, [element('model', { type: 'vga' })]),
    element('memballoon', { model: 'virtio' }),
    host.randomDevice !== undefined &&
      element('rng', { model: 'virtio' }, [textElement('backend', host.randomDevice, { model: 'random' })]),
  ].filter((device) => device !== false)
}

function buildFeatures(vm: VmSpec): XmlElement {
  // Without a limit the translation cache of a busy emulated guest grows to 1 GiB.
  const cacheMib = toKib(vm.memoryBytes) <= 256 * 1024 ? 32 : 128
  const tcg = vm.acceleration === 'tcg'
  return element('features', {}, [
    element('acpi'),
    element('apic'),
    tcg && element('tcg', {}, [textElement('tb-cache', cacheMib, { unit: 'MiB' })]),
  ])
}

function buildCpu(vm: VmSpec): XmlElement {
  const topology = element('topology', { sockets: 1, cores: vm.cpuNum, threads: 1 })
  return vm.acceleration === 'kvm'
    ? element('cpu', { mode: 'host-passthrough', check: 'none', migratable: 'on' }, [topology])
    : element('cpu', {}, [topology])
}

function buildClock(): XmlElement {
  return element('clock', { offset: 'utc' }, [
    element('timer', { name: 'rtc', tickpolicy: 'catchup' }),
    element('timer', { name: 'pit', tickpolicy: 'delay' }),
    element('timer', { name: 'hpet', present: 'no' }),
  ])
}

function diskElement(disk: DiskSpec, machine: VmSpec['machine'], order: number | undefined): XmlElement {
  return element('disk', { type: 'file', device: 'disk' }, [
    element('driver', {
      name: 'qemu',
      type: disk.format,
      cache: disk.cacheMode,
      // Native AIO is only asynchronous, and only allowed, when the page cache is not in the way.
      io: disk.cacheMode === 'none' ? 'native' : 'threads',
      discard: 'unmap',
    }),
    element('source', { file: disk.installPath }),
    element('target', diskTarget(disk, machine)),
    textElement('serial', disk.volumeUuid.slice(0, 20)),
    order !== undefined && element('boot', { order }),
    element('alias', { name: diskAlias(disk.volumeUuid) }),
  ])
}

function diskTarget(disk: DiskSpec, machine: VmSpec['machine']): { dev: string; bus: string } {
  if (disk.bus === 'virtio') return { dev: `vd${letter(disk.deviceId)}`, bus: 'virtio' }
  return emulatedTarget(machine, disk.deviceId, `disk ${disk.volumeUuid}`)
}

// q35 has no IDE controller; its SATA ports serve guests without virtio drivers as well.
function emulatedTarget(
  machine: VmSpec['machine'],
  place: number,
  what: string,
): { dev: string; bus: string } {
  if (machine === 'q35') return { dev: `sd${letter(place)}`, bus: 'sata' }
  if (place > 3)
    throw new CloudError(
      sysErrors.invalidArgument,
      `${what} does not fit: machine type pc has four IDE places`,
    )
  return { dev: `hd${letter(place)}`, bus: 'ide' }
}

function cdromElement(
  vm: VmSpec,
  cdrom: VmSpec['cdroms'][number],
  at: number,
  order: number | undefined,
): XmlElement {
  const taken = vm.disks.filter((disk) => disk.bus === 'ide').map((disk) => disk.deviceId)
  const place = Math.max(-1, ...taken) + 1 + at
  return element('disk', { type: 'file', device: 'cdrom' }, [
    element('driver', { name: 'qemu', type: 'raw' }),
    cdrom.path !== '' && element('source', { file: cdrom.path }),
    element('target', emulatedTarget(vm.machine, place, `CD-ROM ${cdrom.deviceId}`)),
    element('readonly'),
    order !== undefined && element('boot', { order }),
    element('alias', { name: `ua-cdrom-${cdrom.deviceId}` }),
  ])
}

function nicElement(nic: NicSpec, order: number | undefined): XmlElement {
  return element('interface', { type: 'bridge' }, [
    element('mac', { address: nic.mac }),
    element('source', { bridge: nic.bridge }),
    element('target', { dev: nic.deviceName }),
    element('model', { type: nic.model }),
    // The network boot ROM costs each start of the guest time; only who boots from the network needs it.
    order === undefined && element('rom', { enabled: 'no' }),
    order !== undefined && element('boot', { order }),
    element('alias', { name: nicAlias(nic.nicUuid) }),
  ])
}

/** The place of each device in the boot order: all of a kind, in their own order, before the next kind. */
function bootPlaces(vm: VmSpec): Map<object, number> {
  const kinds: Record<VmSpec['bootOrder'][number], readonly object[]> = {
    hd: vm.disks,
    cdrom: vm.cdroms,
    network: vm.nics,
  }
  const devices = [...new Set(vm.bootOrder)].flatMap((kind) => kinds[kind])
  return new Map(devices.map((device, at) => [device, at + 1]))
}

function letter(place: number): string {
  return String.fromCharCode('a'.charCodeAt(0) + place)
}

function toKib(bytes: number): number {
  return Math.floor(bytes / 1024)
}

// libvirt refuses a title of several lines.
function toTitle(name: string): string {
  return toXmlCharacters(name).replace(/[\r\n]+/g, ' ')
}
