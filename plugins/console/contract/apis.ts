import { anything, defineApi, int, optional, ref, text } from '#contract'

export const requestConsoleAccess = defineApi({
  name: 'RequestConsoleAccess',
  message: 'org.zstack.header.console.APIRequestConsoleAccessMsg',
  path: '/consoles',
  summary: 'Get a short-lived token for the console of a VM.',
  input: {
    vmInstanceUuid: ref('VmInstanceVO', 'The VM.'),
  },
  output: {
    inventory: optional(anything('Inventory.')),
  },
})

export const getVmConsoleAddress = defineApi({
  name: 'GetVmConsoleAddress',
  message: 'org.zstack.header.vm.APIGetVmConsoleAddressMsg',
  kind: 'sync',
  method: 'GET',
  path: '/vm-instances/{uuid}/console-addresses',
  summary: 'Where the console of a VM listens.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the console.'),
  },
  output: {
    hostIp: optional(text('Host ip.')),
    port: optional(int('Port.')),
    path: optional(text('Path.')),
    protocol: optional(text('Protocol.')),
    vdiPortInfo: optional(anything('Vdi port info.')),
  },
})
