import { anything, defineApi, int, optional, ref, struct, text, timestamp } from '#contract'

const consoleAccess = struct(
  'org.zstack.header.console.ConsoleInventory',
  'A pass to the console of one VM, good for one connection.',
  {
    scheme: text('http, also for the websocket: the client derives ws from it.'),
    targetScheme: text('Protocol of the screen: vnc.'),
    hostname: text('Address of the management node that holds the token.'),
    port: int('Port of the console page and of its websocket, /console/websockify?token=…'),
    token: text('Secret of this pass; 64 hex digits.'),
    version: text('Version of the management node.'),
    expiredDate: timestamp('Until when it must be used.'),
  },
)

export const requestConsoleAccess = defineApi({
  name: 'RequestConsoleAccess',
  message: 'org.zstack.header.console.APIRequestConsoleAccessMsg',
  path: '/consoles',
  summary: 'Get a short-lived token for one connection to the console of a running VM.',
  input: {
    vmInstanceUuid: ref('VmInstanceVO', 'The VM.'),
  },
  output: {
    inventory: consoleAccess,
  },
})

export const getVmConsoleAddress = defineApi({
  name: 'GetVmConsoleAddress',
  message: 'org.zstack.header.vm.APIGetVmConsoleAddressMsg',
  kind: 'sync',
  method: 'GET',
  path: '/vm-instances/{uuid}/console-addresses',
  summary: 'Where the screen of a running VM is on its host.',
  input: {
    uuid: ref('VmInstanceVO', 'The VM.'),
  },
  output: {
    hostIp: text('Address of the host.'),
    port: optional(int('Port; absent when it listens on a unix socket.')),
    path: optional(text('Unix socket on the host.')),
    protocol: text('vnc.'),
    vdiPortInfo: optional(anything('Ports of a desktop protocol; absent, VNC has none.')),
  },
})
