import { libvirtUri } from '../libvirt/deps.ts'
import type { MigrationPaths } from './channels.ts'

const LIVE = 1
const PEER_TO_PEER = 2
const NON_SHARED_INC = 128
// Disks that lie on storage both hosts see are safe by the cache modes we allow; libvirt cannot know.
const UNSAFE = 512
const AUTO_CONVERGE = 8192

/** Everything virDomainMigrateToURI3 is told. */
export interface MigrationCall {
  readonly destinationUri: string
  readonly params: Readonly<Record<string, string>>
  readonly flags: number
}

/** Describes a migration through the local sockets at `paths`. */
export function describeMigration(
  paths: MigrationPaths,
  options: { readonly withStorage: boolean; readonly autoConverge: boolean },
): MigrationCall {
  return {
    destinationUri: libvirtUri(paths.libvirt),
    params: {
      migrate_uri: `unix://${paths.qemu}`,
      ...(options.withStorage ? { disks_uri: `unix://${paths.nbd}` } : {}),
    },
    flags:
      LIVE |
      PEER_TO_PEER |
      UNSAFE |
      (options.withStorage ? NON_SHARED_INC : 0) |
      (options.autoConverge ? AUTO_CONVERGE : 0),
  }
}
