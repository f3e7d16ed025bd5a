import { anything, defineApi, defineQuery, map, optional, text } from '#contract'
import { managementNode } from './resources.ts'

export const queryManagementNode = defineQuery({
  name: 'QueryManagementNode',
  message: 'org.zstack.header.managementnode.APIQueryManagementNodeMsg',
  path: '/management-nodes',
  resource: managementNode,
})

export const getVersion = defineApi({
  name: 'GetVersion',
  message: 'org.zstack.header.managementnode.APIGetVersionMsg',
  kind: 'sync',
  method: 'PUT',
  path: '/management-nodes/actions',
  needSession: false,
  summary: 'Version of the management node.',
  input: {},
  output: {
    version: optional(text('Version, as 1.2.3.')),
  },
})

export const isReadyToGo = defineApi({
  name: 'IsReadyToGo',
  message: 'org.zstack.header.apimediator.APIIsReadyToGoMsg',
  kind: 'sync',
  method: 'GET',
  path: '/management-nodes/ready',
  needSession: false,
  summary: 'Tell whether the management node serves requests.',
  input: {
    managementNodeId: optional(text('The node asked for; any when absent.')),
  },
})

export const getCurrentTime = defineApi({
  name: 'GetCurrentTime',
  message: 'org.zstack.header.managementnode.APIGetCurrentTimeMsg',
  kind: 'sync',
  method: 'PUT',
  path: '/management-nodes/actions',
  needSession: false,
  summary: 'Time of the management node.',
  input: {},
  output: {
    currentTime: optional(
      map('MillionSeconds (milliseconds) and Seconds since 1970.', anything('Current time.')),
    ),
  },
})
