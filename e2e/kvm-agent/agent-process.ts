/**
 * The agent's VM commands in a process of their own, for tests: calls come as JSON lines on standard input, answers and
 * events leave on standard output. Tunnels between two of them are unix sockets in a directory both see.
 */
import { existsSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'
import type { CallContext } from '#agent-rpc'
import { joinStreams } from '#agent-rpc'
import { createHostHandlers } from '#agents/kvm-host/host/handlers.ts'
import { createLibvirtHandlers } from '#agents/kvm-host/libvirt/handlers.ts'
import { createMigrationHandlers } from '#agents/kvm-host/migration/handlers.ts'
import { createLogger, KeyedQueues, toErrorBody, waitFor } from '#kernel'

const tunnelDirectory = process.argv[2] as string
const write = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

const logger = createLogger({ name: hostname(), level: 'debug' })
const vms = await createLibvirtHandlers({
  logger,
  queues: new KeyedQueues(),
  emit: (event) => write({ event }),
  config: { libvirtSocket: '/run/libvirt/libvirt-sock', serialLogDirectory: '/var/log/zstack-vm' },
})
const migration = createMigrationHandlers({
  vm: vms.context,
  socketRoot: '/run/zstack/migration',
  openTunnel: ({ address }, path) => openTunnel(`${tunnelDirectory}/${address}.sock`, path),
})
const host = createHostHandlers({
  client: vms.context.client,
  agentVersion: 'test',
  agentStartedAtMs: Date.now(),
  runDirectory: '/run/zstack',
})
const handlers: Record<string, (input: never, context: CallContext) => Promise<object>> = {
  ...vms.handlers,
  ...migration.handlers,
  ...host,
}

const routes = [...vms.upgradeRoutes, ...migration.upgradeRoutes]
const socketPath = `${tunnelDirectory}/${hostname()}.sock`
rmSync(socketPath, { force: true })
const server = createServer(
  { allowHalfOpen: true, pauseOnConnect: true },
  (socket) => void serveTunnel(socket),
)
server.listen(socketPath, () => write({ ready: true }))

async function serveTunnel(socket: Socket): Promise<void> {
  socket.on('error', () => socket.destroy())
  try {
    const path = (await readLine(socket)).trim()
    const route = routes.find((r) => path.startsWith(r.prefix))
    if (route === undefined) throw new Error(`no route for ${path}`)
    const peer = { kind: 'agent', name: 'test' } as const
    const { signal } = new AbortController()
    // A test may stop a migration half way by this file.
    if (path.endsWith('.qemu')) await waitFor('leave to go on', () => !existsSync('/run/hold-migration'))
    const local = await route.open({ path: path.slice(route.prefix.length), peer, signal })
    socket.write('ok\n')
    joinStreams(socket, local)
  } catch (error) {
    socket.end(`${JSON.stringify(toErrorBody(error))}\n`)
  }
}

async function openTunnel(socketFile: string, path: string): Promise<Duplex> {
  const socket = connect({ path: socketFile, allowHalfOpen: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.on('error', () => socket.destroy())
  socket.write(`${path}\n`)
  const answer = await readLine(socket)
  if (answer.trim() !== 'ok') throw new Error(`tunnel refused: ${answer}`)
  return socket
}

/** Reads up to the first newline and leaves the rest in the stream. */
function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onReadable = () => {
      for (let byte = socket.read(1); byte !== null; byte = socket.read(1)) {
        text += byte.toString('latin1')
        if (!text.endsWith('\n')) continue
        socket.off('readable', onReadable)
        resolve(text)
        return
      }
    }
    socket.on('readable', onReadable)
    socket.once('end', () => reject(new Error(`ended after ${text}`)))
  })
}

const running = new Map<number, AbortController>()

async function serveCall({ id, call, input }: { id: number; call: string; input: never }): Promise<void> {
  const abort = new AbortController()
  running.set(id, abort)
  const context = {
    callId: String(id),
    taskId: undefined,
    epoch: 0,
    signal: abort.signal,
    progress: (percent: number) => write({ id, progress: percent }),
  }
  try {
    const handler = handlers[call]
    if (handler === undefined) throw new Error(`no handler ${call}`)
    write({ id, output: await handler(input, context) })
  } catch (error) {
    write({ id, error: toErrorBody(error) })
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line)
  if (message.abort !== undefined) running.get(message.abort)?.abort(new Error('cancelled by the test'))
  else void serveCall(message)
}
// End of input: an orderly stop.
server.close()
await migration.dispose()
await vms.dispose()
process.exit(0)
