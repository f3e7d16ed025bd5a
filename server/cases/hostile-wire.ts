import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request as httpsRequest, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type AgentServer, type Authority, createAgentServer, type TlsIdentity } from '#agent-rpc'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { SimulatedHost } from '#agents/simulator/kvm-host.ts'
import { silentLogger } from '#kernel'

/** What the wire or the agent does to one call. In each the handler has run, or runs, on the host. */
export const faults = {
  'answers after the deadline': async (wire, call, response) => {
    await wire.forward(call)
    await once(response, 'close')
  },
  'closes the connection in the middle of an answer': async (wire, call, response) => {
    const answer = await wire.forward(call)
    response.writeHead(200)
    response.write(answer.slice(0, answer.length / 2), () => response.destroy())
  },
  'ends its answer with half a line': async (wire, call, response) => {
    const answer = await wire.forward(call)
    response.end(answer.slice(0, answer.length / 2))
  },
  'answers garbage': async (wire, call, response) => {
    await wire.forward(call)
    response.end('\u0000<html>not what was asked</html>\n')
  },
  'answers something else than declared': async (wire, call, response) => {
    await wire.forward(call)
    response.end('{"output":["surprise"]}\n')
  },
  'is restarted after the effect, before the answer': async (wire, call, response) => {
    await wire.forward(call)
    await wire.restart()
    response.destroy()
  },
  'is restarted before the call began': async (wire, _call, response) => {
    await wire.restart()
    response.destroy()
  },
  'gets the call twice at once': async (wire, call, response) => {
    const [first] = await Promise.all([wire.forward(call), wire.forward(call)])
    response.end(first)
  },
  'gets the call once more after it has answered': async (wire, call, response) => {
    response.end(await wire.forward(call))
    await wire.forward(call)
  },
} satisfies Record<string, (wire: Wire, call: Call, response: ServerResponse) => Promise<unknown>>

export type Fault = keyof typeof faults

interface Call {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

interface Wire {
  /** Gives the call to the agent, and its whole answer back. */
  forward(call: Call): Promise<string>
  /** The agent dies with all it remembers; another one serves the same host. */
  restart(): Promise<void>
}

/** A simulated host behind a real agent server, behind a wire that does to it what it is told. */
export interface HostileAgent {
  readonly port: number
  /** The next call of this name meets the fault. */
  arm(name: string, fault: Fault): void
  /** Whether the next call of this name is answered after its deadline. */
  isLate(name: string): boolean
  /** True when no fault waits any more. */
  isSpent(): boolean
  close(): Promise<void>
}

export async function startHostileAgent(
  host: SimulatedHost,
  uuid: string,
  authority: Authority,
): Promise<HostileAgent> {
  const tls = await authority.issueAgent({ uuid, role: 'kvm-host', addresses: ['127.0.0.1'] })
  const management = await authority.issueManagement()
  let armed: { name: string; fault: Fault } | undefined
  let agent = await startAgent(host, uuid, tls)
  const past: Promise<void>[] = []
  const wire: Wire = {
    forward: (call) => forward(agent.port, management, call),
    restart: async () => {
      past.push(agent.server.close())
      agent = await startAgent(host, uuid, tls)
    },
  }
  const proxy = await listen(
    createServer({ ...tls, requestCert: true }, async (request, response) => {
      const name = request.url?.replace('/call/', '')
      if (armed === undefined || armed.name !== name) return pass(agent.port, management, request, response)
      const { fault } = armed
      armed = undefined
      const call = await readCall(request)
      // A caller that has gone is part of most faults.
      await faults[fault](wire, call, response).catch(() => response.destroy())
    }),
  )
  return {
    port: proxy.port,
    arm: (name, fault) => {
      armed = { name, fault }
    },
    isLate: (name) => armed?.name === name && armed.fault === 'answers after the deadline',
    isSpent: () => armed === undefined,
    close: async () => {
      proxy.server.closeAllConnections()
      proxy.server.close()
      await Promise.all([...past, agent.server.close()])
    },
  }
}

async function startAgent(
  { handlers, subscribe }: SimulatedHost,
  uuid: string,
  tls: TlsIdentity,
): Promise<{ server: AgentServer; port: number }> {
  const server = createAgentServer({
    ...{ tls, calls: kvmHostCalls, handlers, uuid, bundleHash: 'v', logger: silentLogger },
  })
  subscribe(server.emit)
  return { server, port: await server.listen(0, '127.0.0.1') }
}

async function listen(server: Server): Promise<{ server: Server; port: number }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

async function readCall(request: IncomingMessage): Promise<Call> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) }
}

async function forward(port: number, tls: TlsIdentity, call: Call): Promise<string> {
  const { path, headers, body } = call
  const outgoing = connect(port, tls, { method: 'POST', path, headers })
  outgoing.end(body)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function pass(port: number, tls: TlsIdentity, request: IncomingMessage, response: ServerResponse): void {
  const { method = 'GET', url = '/', headers } = request
  const outgoing = connect(port, tls, { method, path: url, headers })
  outgoing.once('response', (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    answer.pipe(response)
    answer.once('error', () => response.destroy())
  })
  outgoing.once('error', () => response.destroy())
  response.once('close', () => outgoing.destroy())
  request.pipe(outgoing)
}

function connect(
  port: number,
  { ca, cert, key }: TlsIdentity,
  what: { method: string; path: string; headers: IncomingMessage['headers'] },
) {
  return httpsRequest({
    ...{ host: '127.0.0.1', port, ca, cert, key, agent: false, ...what },
    // The wire is the test's own: it knows whom it talks to.
    checkServerIdentity: () => undefined,
  })
}
