import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { consoleInfo } from '#agents/kvm-host/contract/vm.ts'
import { findOne } from '#db'
import { CloudError, type Disposable, describeError, sysErrors } from '#kernel'
import { authenticator, type PluginContext, type UpgradeRoute } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { type VmInstance, vmInstance } from '#plugins/vm/contract/resources.ts'
import { bridgeConsole, closeCodes, closeSocket } from './bridge.ts'
import { proxyIdleTimeout } from './contract/configs.ts'
import type { ConsoleGrant, ConsoleTokens } from './tokens.ts'

const FORBIDDEN = 'HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
// What a browser sends is keys, pointer moves and the clipboard.
const MAX_MESSAGE_BYTES = 1024 * 1024

/** The console's websocket and everything open behind it. */
export interface ConsoleAccess extends Disposable {
  readonly route: UpgradeRoute
}

/**
 * `GET /console/websockify?token=…`: a browser's websocket becomes the VNC connection of one VM. Whoever comes without a good
 * token, from a page of another site, or after its session ended gets a bare 403, so that nothing can be probed. What fails
 * behind that is told as the reason of the websocket's close, where the page can show it.
 */
export function createConsoleAccess(ctx: PluginContext, tokens: ConsoleTokens): ConsoleAccess {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (offered) => (offered.has('binary') ? 'binary' : false),
  })
  const open = new Set<Disposable>()
  const accept = async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const grant = await admit(ctx, tokens, request)
    // Cut and not only ended: a peer that keeps its side open must not keep ours.
    if (grant === undefined) return void socket.end(FORBIDDEN, () => socket.destroy())
    server.handleUpgrade(request, socket, head, (webSocket) => {
      // Nothing is read from the browser, and none of its bytes is lost, before the screen is there to take it.
      webSocket.pause()
      void connect(ctx, webSocket, grant, open)
    })
  }
  return {
    route: {
      path: '/console/websockify',
      handler: (request, socket, head) => {
        accept(request, socket, head).catch((error) => {
          ctx.log.error({ err: describeError(error) }, 'a console connection failed by a bug')
          socket.destroy()
        })
      },
    },
    dispose: () => {
      for (const bridge of open) void bridge.dispose()
      for (const client of server.clients) client.terminate()
      server.close()
    },
  }
}

async function admit(
  ctx: PluginContext,
  tokens: ConsoleTokens,
  request: IncomingMessage,
): Promise<ConsoleGrant | undefined> {
  // Taken first: a token that was shown in a wrong place is not good in the right one any more.
  const grant = tokens.take(tokenOf(request))
  if (grant === undefined || !isSameSite(request)) return undefined
  try {
    const { accountUuid } = await ctx.driver(authenticator, 'session')(grant.sessionUuid)
    return accountUuid === grant.accountUuid ? grant : undefined
  } catch (error) {
    ctx.log.info({ vmUuid: grant.vmUuid, err: describeError(error) }, 'a console token outlived its session')
    return undefined
  }
}

function tokenOf(request: IncomingMessage): string {
  const url = request.url ?? ''
  const at = url.indexOf('?')
  return at < 0 ? '' : (new URLSearchParams(url.slice(at + 1)).get('token') ?? '')
}

/** Browsers name the page's origin; it must be the one the connection goes to. Programs name none and hold a token. */
function isSameSite(request: IncomingMessage): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return true
  return URL.canParse(origin) && new URL(origin).host === host
}

async function connect(
  ctx: PluginContext,
  socket: WebSocket,
  grant: ConsoleGrant,
  open: Set<Disposable>,
): Promise<void> {
  const { vmUuid, accountUuid } = grant
  try {
    const tunnel = await openScreen(ctx, vmUuid)
    // Nobody would tell the bridge that the browser has gone, or was cut off by the node's stop, while the screen was opened.
    if (socket.readyState !== socket.OPEN) return void tunnel.destroy()
    const bridge = bridgeConsole(socket, tunnel, {
      idleMs: ctx.config.get(proxyIdleTimeout) * 1000,
      onClose: (reason) => {
        open.delete(bridge)
        ctx.log.info({ vmUuid, accountUuid, reason }, 'console closed')
      },
    })
    open.add(bridge)
    ctx.log.info({ vmUuid, accountUuid }, 'console opened')
  } catch (error) {
    ctx.log.warn({ vmUuid, accountUuid, err: describeError(error) }, 'a console could not be opened')
    const isTold = error instanceof CloudError
    closeSocket(socket, closeCodes.failed, isTold ? error.details : 'an internal error; see the log')
  }
}

/** Opens the connection to the VNC server of a VM through the agent of the host where it runs now. */
async function openScreen(ctx: PluginContext, vmUuid: string): Promise<Duplex> {
  const vm = await findOne(ctx.db, vmInstance, { uuid: vmUuid })
  if (vm === undefined) throw new CloudError(sysErrors.resourceNotFound, 'the VM was deleted')
  const agent = await agentOfHost(ctx, hostOfRunning(vm))
  const { openTunnel } = agent
  if (openTunnel === undefined)
    throw new CloudError(sysErrors.noCapability, `VM ${vm.name} is simulated: it has no screen`)
  // The agent admits one connection for each question, so another one must not come in between.
  return ctx.queues.run(`console:${vmUuid}`, 'open console', async () => {
    await agent.call(consoleInfo, { vmUuid })
    return openTunnel.call(agent, `/console/${vmUuid}`)
  })
}

/** The host a VM runs on. Throws SYS.1006 when it does not run. */
export function hostOfRunning(vm: VmInstance): string {
  if (vm.state === 'Running' && vm.hostUuid !== undefined) return vm.hostUuid
  const details = `VM ${vm.name} (${vm.uuid}) is ${vm.state}; only a Running VM has a console. Start it and try again`
  throw new CloudError(sysErrors.operationFailed, details, { opaque: { state: vm.state } })
}
