import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { WebSocket } from 'ws'
import type { AgentClient } from '#agent-rpc'
import { insert, update } from '#db'
import { CloudError, type Logger, newUuid, silentLogger, sysErrors } from '#kernel'
import { authenticator, type Cloud, createCloud, definePlugin, upgradeRoute } from '#plugin-host'
import { hostAgents } from '#plugins/host/contract/agent-of-host.ts'
import { vmInstance } from '#plugins/vm/contract/resources.ts'
import { vmMigrations } from '#plugins/vm/migrations.ts'
import { openTestDatabase } from '#testkit'
import { requestConsoleAccess } from '../contract/apis.ts'
import { consolePlugin } from '../plugin.ts'

/** A cloud of one VM whose host is faked down to the tunnel, behind a real HTTP server. */
export interface ConsoleCloud {
  readonly cloud: Cloud
  readonly vmUuid: string
  readonly port: number
  /** Calls the agent got, tunnels included. */
  readonly agentCalls: string[]
  /** Far ends of the tunnels opened so far. */
  readonly screens: Duplex[]
  readonly logLines: string[]
  /** Asks for a token as the account whose session is `session`. */
  token(session?: string): Promise<string>
  connect(token: string, headers?: Readonly<Record<string, string>>): WebSocket
  endSession(session: string): void
  setVmState(state: string): Promise<void>
  stop(): Promise<void>
  dispose(): Promise<void>
}

export const accountUuid = newUuid()
const hostUuid = newUuid()

export interface ConsoleCloudOptions {
  /** False for a host without tunnels, as simulated ones are. */
  readonly hasScreen?: boolean
  /** Opens the VM's VNC server; when absent, the far end of each tunnel is put into `screens`. */
  readonly openScreen?: (() => Promise<Duplex>) | undefined
}

export async function startConsoleCloud(options: ConsoleCloudOptions = {}): Promise<ConsoleCloud> {
  const folder = await mkdtemp(join(tmpdir(), 'console-case-'))
  const sessions = new Map([['session', accountUuid]])
  const agentCalls: string[] = []
  const screens: Duplex[] = []
  const logLines: string[] = []
  const agent = fakeAgent(agentCalls, screens, options)
  const cloud = await createCloud({
    plugins: [...stubPlugins(sessions, agent), consolePlugin],
    db: await openTestDatabase(folder),
    node: { uuid: newUuid(), address: '192.0.2.1', dataDir: folder, version: '1.2.3' },
    log: recordingLogger(logLines),
  })
  await cloud.start()
  const vmUuid = await addVm(cloud)
  const server = mount(cloud)
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= cloud.stop()
    return stopped
  }
  return {
    ...{ stop, cloud, vmUuid, port, agentCalls, screens, logLines },
    token: (sessionUuid = 'session') => askForToken(cloud, vmUuid, sessionUuid),
    connect: (token, headers = {}) =>
      new WebSocket(`ws://127.0.0.1:${port}/console/websockify?token=${token}`, ['binary'], { headers }),
    endSession: (session) => void sessions.delete(session),
    setVmState: async (state) => {
      await cloud.context.db.write((tx) => update(tx, vmInstance, { uuid: vmUuid }, { state }))
    },
    dispose: async () => {
      await stop()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true })
    },
  }
}

async function askForToken(cloud: Cloud, vmUuid: string, sessionUuid: string): Promise<string> {
  const params = { vmInstanceUuid: vmUuid }
  const reply = await cloud.dispatcher.call({ api: requestConsoleAccess, params, sessionUuid })
  return (reply.inventory as { token: string }).token
}

function stubPlugins(sessions: ReadonlyMap<string, string>, agent: AgentClient) {
  const identity = definePlugin({
    name: 'identity',
    setup: (ctx) =>
      ctx.provide(authenticator, 'session', async (uuid) => {
        const account = sessions.get(uuid ?? '')
        if (account === undefined) throw new CloudError(sysErrors.operationFailed, 'no such session')
        return { accountUuid: account }
      }),
  })
  const hosts = definePlugin({
    name: 'host',
    setup: (ctx) => ctx.provide(hostAgents, 'any', async () => agent),
  })
  const vms = definePlugin({ name: 'vm', resources: [vmInstance], migrations: vmMigrations, setup() {} })
  return [identity, hosts, vms]
}

function fakeAgent(calls: string[], screens: Duplex[], options: ConsoleCloudOptions): AgentClient {
  const agent: AgentClient = {
    call: async (call) => {
      calls.push(call.name)
      return { socketPath: '/run/x.sock' } as never
    },
    close() {},
  }
  if (options.hasScreen === false) return agent
  return {
    ...agent,
    openTunnel: async (path) => {
      calls.push(path)
      if (options.openScreen !== undefined) return options.openScreen()
      const [near, far] = duplexPair()
      screens.push(far)
      return near
    },
  }
}

async function addVm(cloud: Cloud): Promise<string> {
  const uuid = newUuid()
  const now = Date.now()
  const row = {
    ...{ uuid, name: 'vm1', zoneUuid: newUuid(), hostUuid, type: 'UserVm', hypervisorType: 'KVM' },
    ...{
      memorySize: 1,
      cpuNum: 1,
      createDate: now,
      lastOpDate: now,
      state: 'Running',
      internalId: 1,
      accountUuid,
    },
  }
  await cloud.context.db.write((tx) => insert(tx, vmInstance, row))
  return uuid
}

function mount(cloud: Cloud) {
  const server = createServer()
  const [route] = cloud.context.hooks(upgradeRoute)
  server.on('upgrade', (request, socket, head) => {
    // A client that cuts its connection is what some tests are about.
    socket.on('error', () => socket.destroy())
    if (request.url?.startsWith(`${route?.path}?`)) route?.handler(request, socket, head)
    else socket.destroy()
  })
  return server
}

function recordingLogger(lines: string[]): Logger {
  const record = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = {
    ...silentLogger,
    ...{ debug: record, info: record, warn: record, error: record },
    child: () => logger,
  }
  return logger
}
