import { CloudError, sysErrors } from '#kernel'

/** What a migration sends through the tunnel: libvirt's talk, the guest's memory, the guest's disks. */
export const migrationChannels = ['libvirt', 'qemu', 'nbd'] as const
export type MigrationChannel = (typeof migrationChannels)[number]

export const TUNNEL_PREFIX = '/tunnel/'

/** Path of the upgrade route for a channel of a migration. */
export function tunnelPath(migrationUuid: string, channel: MigrationChannel): string {
  return `${TUNNEL_PREFIX}${migrationUuid}.${channel}`
}

/** Reads what follows the prefix; refuses anything but a migration's uuid and a channel. */
export function parseTunnelPath(path: string): {
  readonly migrationUuid: string
  readonly channel: MigrationChannel
} {
  const match = /^([0-9a-f]{32})\.([a-z]+)$/.exec(path)
  const channel = migrationChannels.find((known) => known === match?.[2])
  if (match?.[1] !== undefined && channel !== undefined) return { migrationUuid: match[1], channel }
  throw new CloudError(sysErrors.invalidArgument, `${JSON.stringify(path)} names no channel of a migration`)
}

/** Sockets of a migration; the same paths on both hosts, as libvirt demands of QEMU's. */
export interface MigrationPaths {
  /** Owned by the user QEMU runs as, closed to all others. */
  readonly directory: string
  readonly qemu: string
  readonly nbd: string
  /** Beside the directory, not in it: through this one the other host's libvirt is commanded, so it is root's alone. */
  readonly libvirt: string
}

/** Where the sockets of a migration lie below `root`, `/run/zstack/migration`. */
export function migrationPaths(root: string, migrationUuid: string): MigrationPaths {
  const directory = `${root}/${migrationUuid}`
  return {
    directory,
    qemu: `${directory}/qemu`,
    nbd: `${directory}/nbd`,
    libvirt: `${root}/${migrationUuid}.libvirt`,
  }
}
