import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { upgradeRoute } from '#plugin-host'
import {
  type ConsoleCloud,
  type ConsoleCloudOptions,
  startConsoleCloud,
} from '#plugins/console/cases/console-cloud.ts'
import { createPages } from '#plugins/ui/pages.ts'
import { type Inventory, inventories } from './stub-inventories.ts'

/** The web interface as the server serves it, the real console behind it, and an API that answers from a table. */
export interface StubCloud {
  readonly baseUrl: string
  readonly consoles: ConsoleCloud
  readonly vms: Inventory[]
  /** Set to make every API call fail like this; `hang up` cuts the connection. */
  fault: { status: number; body: unknown } | 'hang up' | undefined
  /** Paths of the API calls so far. */
  readonly calls: string[]
  dispose(): Promise<void>
}

type Reply = { status: number; body: unknown }
const sha512 = (text: string) => createHash('sha512').update(text).digest('hex')
const ok = (body: unknown): Reply => ({ status: 200, body })
const failure = (code: string, details: string): Reply => ({
  ...{ status: 503, body: { error: { code, description: code, details } } },
})

export async function startStubCloud(options: ConsoleCloudOptions = {}): Promise<StubCloud> {
  const consoles = await startConsoleCloud(options)
  const pages = await createPages()
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const page = pages.find((p) =>
      p.path.endsWith('*') ? path.startsWith(p.path.slice(0, -1)) : p.path === path,
    )
    if (page !== undefined) void page.handler(request, response)
    else void serveApi(stub, request, response)
  })
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    consoles.cloud.context.hooks(upgradeRoute)[0]?.handler(request, socket, head)
  })
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
  const stub: StubCloud = {
    baseUrl: `http://127.0.0.1:${port}`,
    consoles,
    vms: inventories.vms(consoles.vmUuid),
    fault: undefined,
    calls: [],
    dispose: async () => {
      await consoles.dispose()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return stub
}

async function serveApi(stub: StubCloud, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const call = `${request.method} ${request.url?.split('?')[0]?.replace('/zstack/v1', '')}`
  stub.calls.push(call)
  if (stub.fault === 'hang up') return void request.socket.destroy()
  const isOpen = /login|getVersion/.test(call + text) || request.headers.authorization === 'OAuth session'
  const isLegacy = call === 'POST /zstack/api'
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, Record<string, string>>
  const denied = isOpen || isLegacy ? undefined : failure('ID.1001', 'Session expired')
  const reply = stub.fault ?? denied ?? (await answer(stub, call, body))
  response.writeHead(reply.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(reply.body))
}

async function answer(
  stub: StubCloud,
  call: string,
  body: Record<string, Record<string, string>>,
): Promise<Reply> {
  const list = inventories.lists[call]
  if (list !== undefined) return ok({ inventories: list() })
  const job = (uuid: string): Reply => ({
    ...{ status: 202, body: { location: `http://192.0.2.1:8080/zstack/v1/api-jobs/${uuid}` } },
  })
  switch (call) {
    case 'PUT /accounts/login':
      return body.logInByAccount?.password === sha512('password')
        ? ok({ inventory: { uuid: 'session', accountUuid: 'admin-uuid' } })
        : failure('ID.1000', 'wrong account name or password')
    case 'PUT /management-nodes/actions':
      return ok({ version: '0.1.0' })
    case 'GET /vm-instances':
      return ok({ inventories: stub.vms })
    case 'POST /zstack/api':
      return ok({
        state: 'Done',
        result: JSON.stringify({ Reply: { success: true, inventories: inventories.tasks } }),
      })
    case 'POST /consoles':
      return body.params?.vmInstanceUuid === stub.consoles.vmUuid
        ? job(`console`)
        : failure('SYS.1006', 'this VM has no console here')
    case 'GET /api-jobs/console':
      return ok({ inventory: { token: await stub.consoles.token() } })
    default:
      return action(stub, call, body) ?? ok({})
  }
}

function action(stub: StubCloud, call: string, body: Record<string, unknown>): Reply | undefined {
  const vm = stub.vms.find(({ uuid }) => call === `PUT /vm-instances/${uuid}/actions`)
  if (vm === undefined) return undefined
  if ('startVmInstance' in body && vm.name === 'broken') {
    const cause = { code: 'HOST.1010', details: 'the host node-2 is disconnected' }
    const details = 'no host can take VM broken'
    return { status: 503, body: { error: { code: 'HOST_ALLOCATION.1000', description: '', details, cause } } }
  }
  vm.state = 'startVmInstance' in body ? 'Running' : 'Stopped'
  return { status: 202, body: { location: `/zstack/v1/api-jobs/done` } }
}
