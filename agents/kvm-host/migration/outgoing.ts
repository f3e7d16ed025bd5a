import { once } from 'node:events'
import { chmod, chown, mkdir, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Duplex } from 'node:stream'
import { joinStreams } from '#agent-rpc'
import { describeError, type Logger } from '#kernel'
import { type MigrationChannel, type MigrationPaths, migrationChannels } from './channels.ts'

export interface QemuOwner {
  readonly uid: number
  readonly gid: number
}

export interface OutgoingOptions {
  readonly paths: MigrationPaths
  readonly owner: QemuOwner | undefined
  readonly withStorage: boolean
  readonly openTunnel: (channel: MigrationChannel) => Promise<Duplex>
  readonly logger: Logger
}

/** The source's end of the tunnels. */
export interface Outgoing {
  /** Why a tunnel could not be opened, when one could not: the true cause behind libvirt's "end of file". */
  readonly tunnelError: () => unknown
  close(): Promise<void>
}

/** Makes the directory QEMU's sockets of a migration lie in. */
export async function makeSocketDirectory(
  paths: MigrationPaths,
  owner: QemuOwner | undefined,
): Promise<void> {
  // QEMU's user must get through to its own directory, but need not see the others.
  await mkdir(dirname(paths.directory), { recursive: true, mode: 0o711 })
  await mkdir(paths.directory, { recursive: true, mode: 0o700 })
  if (owner !== undefined) await chown(paths.directory, owner.uid, owner.gid)
}

/** Removes the sockets of a migration. What is not there is fine. */
export async function removeSockets(paths: MigrationPaths): Promise<void> {
  await rm(paths.directory, { recursive: true, force: true })
  await rm(paths.libvirt, { force: true })
}

/** Listens on the sockets which libvirt and QEMU of this host connect to; each connection gets a tunnel of its own. */
export async function openOutgoing(options: OutgoingOptions): Promise<Outgoing> {
  const { paths, owner } = options
  await removeSockets(paths)
  await makeSocketDirectory(paths, owner)
  const open: { server: Server; streams: Set<Duplex> }[] = []
  let failure: unknown
  let closing = false
  const close = async () => {
    closing = true
    const closed = open.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const { streams } of open) for (const stream of streams) stream.destroy()
    await Promise.all(closed)
    await removeSockets(paths)
  }
  try {
    for (const channel of migrationChannels) {
      if (channel === 'nbd' && !options.withStorage) continue
      const streams = new Set<Duplex>()
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
        // One that was accepted in the same instant as we began to close would keep the server open for ever.
        if (closing) {
          socket.destroy()
          return
        }
        forward(options, channel, socket, streams).catch((error) => {
          failure ??= error
          options.logger.warn({ channel, reason: describeError(error) }, 'a tunnel of a migration failed')
          socket.destroy()
        })
      })
      open.push({ server, streams })
      await listen(server, paths[channel], channel === 'libvirt' ? undefined : owner)
    }
  } catch (error) {
    await close()
    throw error
  }
  return { tunnelError: () => failure, close }
}

async function listen(server: Server, path: string, owner: QemuOwner | undefined): Promise<void> {
  server.listen(path)
  await once(server, 'listening')
  await chmod(path, 0o600)
  if (owner !== undefined) await chown(path, owner.uid, owner.gid)
}

async function forward(
  options: OutgoingOptions,
  channel: MigrationChannel,
  socket: Socket,
  streams: Set<Duplex>,
): Promise<void> {
  remember(streams, socket)
  const tunnel = await options.openTunnel(channel)
  remember(streams, tunnel)
  if (socket.destroyed) tunnel.destroy()
  else joinStreams(socket, tunnel)
}

function remember(streams: Set<Duplex>, stream: Duplex): void {
  streams.add(stream)
  // The other side of the tunnel sees the end; here only the loss of the process must be prevented.
  stream.on('error', () => stream.destroy())
  stream.once('close', () => streams.delete(stream))
}
