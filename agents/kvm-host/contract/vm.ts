import { defineAgentCall } from '#agent-rpc'
import { bool, bytes, choice, type Infer, int, list, long, optional, struct, text } from '#contract'
import { vmStates } from './host.ts'

export const cacheModes = ['none', 'writethrough', 'writeback'] as const

const diskShape = {
  volumeUuid: text('Uuid of the volume; also the serial number the guest sees (first 20 characters).'),
  installPath: text('The qcow2 or raw file.', { max: 1024 }),
  format: choice('Format; never guessed.', ['qcow2', 'raw']),
  deviceId: int('0 for the root disk (vda), then in order (vdb, vdc).', [0, 24]),
  bus: choice('virtio, or ide for guests without virtio drivers.', ['virtio', 'ide']),
  cacheMode: choice('How the host caches writes.', cacheModes),
} as const
export const diskSpec = struct('DiskSpec', 'A disk of a VM.', diskShape)
export type DiskSpec = Infer<typeof diskShape>

const nicShape = {
  nicUuid: text('Uuid of the NIC.'),
  mac: text('MAC address.', { pattern: /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/ }),
  ip: text('IPv4 address the guest gets.'),
  bridge: text('Bridge on the host.', { max: 15 }),
  deviceName: text('Name of the tap device on the host, `vnic3.0`.', { max: 15 }),
  model: choice('virtio, or e1000 for guests without virtio drivers.', ['virtio', 'e1000']),
} as const
export const nicSpec = struct('NicSpec', 'A network interface of a VM.', nicShape)
export type NicSpec = Infer<typeof nicShape>

const vmShape = {
  vmUuid: text('Uuid of the VM, also name and uuid of the domain.', { pattern: /^[0-9a-f]{32}$/ }),
  name: text('Name people gave it; title of the domain.'),
  memoryBytes: long('Memory.'),
  cpuNum: int('Virtual CPUs.', [1, 1024]),
  cpuShares: optional(int('Relative weight of its CPU time.')),
  acceleration: choice('kvm or tcg.', ['kvm', 'tcg']),
  machine: choice('Machine type.', ['q35', 'pc']),
  disks: list('Disks, root first.', diskSpec),
  cdroms: list(
    'ISO images in order.',
    struct('CdromSpec', 'An ISO.', {
      deviceId: int('Order.'),
      path: text('ISO file, empty for an empty drive.'),
    }),
  ),
  nics: list('Network interfaces in order.', nicSpec),
  bootOrder: list('Devices to boot from.', choice('Device.', ['hd', 'cdrom', 'network'])),
  consolePassword: optional(text('VNC password, at most 8 characters count.')),
} as const
export const vmSpec = struct('VmSpec', 'All that is needed to run a VM.', vmShape)
export type VmSpec = Infer<typeof vmShape>

const target = { vmUuid: text('Uuid of the VM.', { pattern: /^[0-9a-f]{32}$/ }) } as const
const result = { state: choice('State after the command.', vmStates) } as const

export const startVm = defineAgentCall({
  name: 'vm.start',
  summary: 'Starts a VM from its whole description. One that runs already with this uuid is left alone.',
  timeoutMs: 120_000,
  input: { vm: vmSpec, paused: optional(bool('Start it paused.')) },
  output: result,
})

export const stopVm = defineAgentCall({
  name: 'vm.stop',
  summary:
    'Asks the guest to power off by ACPI, cuts the power when it did not within `graceMs`. A stopped VM is fine.',
  timeoutMs: 300_000,
  input: { ...target, graceMs: int('How long the guest may take; 0 cuts the power at once.') },
  output: { ...result, forced: bool('True when the power was cut.') },
})

export const rebootVm = defineAgentCall({
  name: 'vm.reboot',
  summary: 'Stops like vm.stop and starts again with the description given.',
  timeoutMs: 300_000,
  input: { vm: vmSpec, graceMs: int('How long the guest may take to power off.') },
  output: result,
})

export const pauseVm = defineAgentCall({
  name: 'vm.pause',
  summary: 'Freezes a running VM.',
  input: target,
  output: result,
})
export const resumeVm = defineAgentCall({
  name: 'vm.resume',
  summary: 'Lets a paused VM run on.',
  input: target,
  output: result,
})
export const destroyVm = defineAgentCall({
  name: 'vm.destroy',
  summary:
    'Cuts the power and removes every trace of the domain from libvirt. One that is not there is fine.',
  input: target,
  output: result,
})

export const vmInfo = defineAgentCall({
  name: 'vm.info',
  summary:
    'State, disks and interfaces of a domain as libvirt has them now; state Stopped when there is none.',
  input: target,
  output: {
    ...result,
    disks: list(
      'Disks.',
      struct('LiveDisk', 'A disk.', {
        path: text('File.'),
        target: text('vda.'),
        cacheMode: text('Cache mode.'),
      }),
    ),
    nics: list(
      'Interfaces.',
      struct('LiveNic', 'A NIC.', { mac: text('MAC.'), deviceName: text('Tap.'), bridge: text('Bridge.') }),
    ),
    cpuNum: int('Virtual CPUs, 0 when stopped.', [0, 65_536]),
    memoryBytes: bytes('Memory, 0 when stopped.'),
  },
})

export const attachVolume = defineAgentCall({
  name: 'vm.attach-volume',
  summary: 'Hot-plugs a disk into a running VM. One that is plugged already is fine.',
  input: { ...target, disk: diskSpec },
  output: {},
})
export const detachVolume = defineAgentCall({
  name: 'vm.detach-volume',
  summary: 'Unplugs a disk and waits until the guest let go. One that is not plugged is fine.',
  input: { ...target, installPath: text('File of the disk.', { max: 1024 }) },
  output: {},
})
export const attachNic = defineAgentCall({
  name: 'vm.attach-nic',
  summary: 'Hot-plugs a network interface. One that is plugged already is fine.',
  input: { ...target, nic: nicSpec },
  output: {},
})
export const detachNic = defineAgentCall({
  name: 'vm.detach-nic',
  summary: 'Unplugs a network interface. One that is not plugged is fine.',
  input: { ...target, mac: text('MAC address.') },
  output: {},
})

export const consoleInfo = defineAgentCall({
  name: 'vm.console',
  summary:
    "Where the VM's VNC listens on this host (a unix socket), and opens it to the management for one connection.",
  input: target,
  output: {
    socketPath: text("Path of the socket; reached through the agent's upgrade route `/console/<vmUuid>`."),
  },
})

const migrationUuid = text('Uuid of this migration.', { pattern: /^[0-9a-f]{32}$/ })

export const prepareMigration = defineAgentCall({
  name: 'vm.prepare-migration',
  summary: 'On the destination: opens the sockets through which the source sends the VM. Repeats are fine.',
  input: {
    ...target,
    migrationUuid,
    sourceUuid: optional(text('Uuid of the host it comes from: only its agent is let in then.')),
  },
  output: {},
})
export const migrateVm = defineAgentCall({
  name: 'vm.migrate',
  summary:
    "On the source: moves the running VM to another host over the agents' mutual TLS, with its local disks when told to. " +
    'When it fails the VM runs on here.',
  timeoutMs: 3 * 3600_000,
  input: {
    ...target,
    migrationUuid,
    destination: struct('MigrationTarget', 'Agent of the destination.', {
      address: text('Address.'),
      port: int('Port.'),
    }),
    withStorage: bool(
      'Copy the top layer of each disk; the destination has files of the same path and size.',
    ),
    autoConverge: optional(bool('Slow the guest down when it dirties memory faster than it can be sent.')),
  },
  output: { downtimeMs: optional(int('Measured stop of the guest.')) },
})
export const cleanMigration = defineAgentCall({
  name: 'vm.clean-migration',
  summary:
    'On either side: closes the sockets of a migration and, on the destination, removes a half-arrived domain.',
  input: {
    ...target,
    migrationUuid,
    destroyIncoming: bool('Remove an incoming, not yet running domain.'),
  },
  output: {},
})
