import { consoleInfo } from '#agents/kvm-host/contract/vm.ts'
import { get } from '#db'
import { steadyNow } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { vmInstance } from '#plugins/vm/contract/resources.ts'
import { hostOfRunning } from './access.ts'
import { getVmConsoleAddress, requestConsoleAccess } from './contract/apis.ts'
import { proxyAddress, proxyPort, tokenTimeout } from './contract/configs.ts'
import type { ConsoleTokens } from './tokens.ts'

export function handleConsoles(ctx: PluginContext, tokens: ConsoleTokens): void {
  const { config, db, node } = ctx

  ctx.handle(requestConsoleAccess, async ({ vmInstanceUuid }, { accountUuid, sessionUuid }) => {
    hostOfRunning(await get(db, vmInstance, vmInstanceUuid))
    const expiresAtMs = steadyNow() + config.get(tokenTimeout) * 1000
    const token = tokens.issue({ vmUuid: vmInstanceUuid, accountUuid, sessionUuid, expiresAtMs })
    return {
      inventory: {
        scheme: 'http',
        targetScheme: 'vnc',
        hostname: config.get(proxyAddress) || node.address,
        port: config.get(proxyPort),
        token,
        version: node.version,
        expiredDate: expiresAtMs,
      },
    }
  })

  ctx.handle(getVmConsoleAddress, async ({ uuid }) => {
    const hostUuid = hostOfRunning(await get(db, vmInstance, uuid))
    const { managementIp } = await get(db, host, hostUuid)
    const agent = await agentOfHost(ctx, hostUuid)
    const { socketPath } = await agent.call(consoleInfo, { vmUuid: uuid })
    return { hostIp: managementIp, path: socketPath, protocol: 'vnc' }
  })
}
