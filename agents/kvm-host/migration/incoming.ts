import type { Duplex } from 'node:stream'
import { CloudError, sysErrors } from '#kernel'
import { type MigrationChannel, parseTunnelPath } from './channels.ts'

/** What a host's agent lets in: tunnels of migrations that the management announced, from the source it named, until they end. */
export interface IncomingMigrations {
  /** `sourceUuid`: the host the VM comes from; only its agent may open tunnels then. A repeat is fine. */
  announce(migrationUuid: string, sourceUuid: string | undefined): void
  /** Joins a peer to the local socket of the channel it asks for. Throws SYS.1003 when nobody announced it, or not to that peer. */
  open(path: string, peer: Peer, connect: Connect): Promise<Duplex>
  /** Forgets the migration and cuts its tunnels: through one of them this host's libvirt takes commands. */
  end(migrationUuid: string): void
}

interface Peer {
  readonly kind: 'management' | 'agent'
  readonly name: string
}
type Connect = (migrationUuid: string, channel: MigrationChannel) => Promise<Duplex>

interface Incoming {
  readonly sourceUuid: string | undefined
  readonly tunnels: Set<Duplex>
}

export function createIncomingMigrations(): IncomingMigrations {
  const announced = new Map<string, Incoming>()
  const admitted = (migrationUuid: string, peer: Peer): Incoming => {
    const migration = announced.get(migrationUuid)
    if (migration !== undefined && (migration.sourceUuid ?? peer.name) === peer.name) return migration
    const details = `migration ${migrationUuid} of the host ${peer.name} was not announced to this host`
    throw new CloudError(sysErrors.resourceNotFound, details)
  }
  return {
    announce: (migrationUuid, sourceUuid) => {
      const tunnels = announced.get(migrationUuid)?.tunnels ?? new Set()
      announced.set(migrationUuid, { sourceUuid, tunnels })
    },
    open: async (path, peer, connect) => {
      const { migrationUuid, channel } = parseTunnelPath(path)
      admitted(migrationUuid, peer)
      const socket = await connect(migrationUuid, channel)
      const { tunnels } = announced.get(migrationUuid) ?? {}
      if (tunnels === undefined) socket.destroy()
      tunnels?.add(socket)
      socket.once('close', () => tunnels?.delete(socket))
      return socket
    },
    end: (migrationUuid) => {
      for (const tunnel of announced.get(migrationUuid)?.tunnels ?? []) tunnel.destroy()
      announced.delete(migrationUuid)
    },
  }
}
