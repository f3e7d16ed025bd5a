import { connect, type Socket } from 'node:net'
import type { UpgradeRoute } from '#agent-rpc'
import { CloudError, sysErrors } from '#kernel'
import type { VmContext } from './deps.ts'
import { mustExist, readDomain, withDomain } from './domain.ts'

/** Consoles that were asked for and not yet used: VM uuid to socket. Each is good for one connection. */
export type OpenConsoles = Map<string, string>

/** Finds the VNC socket of a running VM and lets the management connect to it once. */
export async function openConsole(
  context: VmContext,
  consoles: OpenConsoles,
  vmUuid: string,
): Promise<string> {
  const socketPath = await withDomain(context.client, vmUuid, async (found) => {
    const domain = mustExist(found, vmUuid, 'open its console')
    const { vncSocket } = await readDomain(domain)
    if (vncSocket !== undefined) return vncSocket
    throw new CloudError(sysErrors.operationFailed, `VM ${vmUuid} has no VNC console on a unix socket`)
  })
  consoles.set(vmUuid, socketPath)
  return socketPath
}

/** `/console/<vmUuid>`: a connection of the management to a VM's VNC server, after `vm.console`. */
export function consoleRoute(consoles: OpenConsoles): UpgradeRoute {
  return {
    prefix: '/console/',
    allow: ['management'],
    open: async ({ path: vmUuid }) => {
      const socketPath = consoles.get(vmUuid)
      consoles.delete(vmUuid)
      if (socketPath === undefined)
        throw new CloudError(
          sysErrors.resourceNotFound,
          `no console of VM ${vmUuid} was opened; call vm.console first`,
        )
      return connectSocket(socketPath)
    },
  }
}

/** Connects to a unix socket; an end in one direction leaves the other open. */
export function connectSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true })
    const refuse = (cause: Error) =>
      reject(new CloudError(sysErrors.ioError, `nothing answers at ${path}`, { cause }))
    socket.once('error', refuse)
    socket.once('connect', () => {
      socket.off('error', refuse)
      resolve(socket)
    })
  })
}
