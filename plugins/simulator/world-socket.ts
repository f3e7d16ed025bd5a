/** A simulated world in another process: several management nodes can share it, and it lives on when they die. */
import { connect, createServer, type Socket } from 'node:net'
import type { SimulatedWorld } from '#agents/simulator/world.ts'
import type { Disposable } from '#kernel'
import { type Channel, remoteAgents, serveAgents } from './agent-channel.ts'
import type { SimulatedAgents } from './agents.ts'
import { WorldLink } from './world-link.ts'

/** Where one management node enters a world. */
export interface WorldDoor extends Disposable {
  readonly link: WorldLink
}

const RECONNECT_MS = 50

/** Serves the world at a unix socket: one for each management node, so that each can be cut off. */
export async function openWorldDoor(
  world: SimulatedWorld,
  path: string,
  link: WorldLink = new WorldLink(),
): Promise<WorldDoor> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const served = serveAgents(world, channelOf(socket), link)
    socket.on('error', () => {
      // It is closed next; a process that was killed says no goodbye.
    })
    socket.on('close', () => {
      sockets.delete(socket)
      void served.dispose()
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  return {
    link,
    dispose: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

export interface ConnectedWorld extends SimulatedAgents {
  disconnect(): void
}

/** The agents of the world at a unix socket. The connection is made anew when it breaks. */
export function connectWorld(path: string): ConnectedWorld {
  const listeners: ((message: unknown) => void)[] = []
  let current: Channel | undefined
  let socket: Socket
  let isOver = false
  const open = () => {
    if (isOver) return
    socket = connect(path)
    const channel = channelOf(socket)
    socket.on('connect', () => {
      current = channel
    })
    socket.on('error', () => {
      // It is closed next, and opened anew.
    })
    socket.on('close', () => {
      current = undefined
      for (const listener of listeners) listener({ kind: 'down' })
      setTimeout(open, RECONNECT_MS)
    })
    channel.on('message', (message) => {
      for (const listener of listeners) listener(message)
    })
  }
  open()
  const agents = remoteAgents({
    send: (message) => current?.send(message) ?? false,
    on: (_event, listener) => listeners.push(listener),
  })
  const disconnect = () => {
    isOver = true
    socket.destroy()
  }
  return { ...agents, disconnect }
}

/** One line of JSON for each message. */
function channelOf(socket: Socket): Channel {
  return {
    send: (message) => {
      if (!socket.writable) return false
      socket.write(`${JSON.stringify(message)}\n`)
      return true
    },
    on: (_event, listener) => {
      let rest = ''
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) listener(JSON.parse(line))
      })
    },
  }
}
