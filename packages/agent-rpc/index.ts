export {
  type AgentDeps,
  type AgentParts,
  type AgentProgram,
  agentFiles,
  runAgentProcess,
} from './agent-process.ts'
export {
  type AgentSubject,
  type Authority,
  createAuthority,
  loadAuthority,
  type TlsIdentity,
} from './ca.ts'
export {
  type AgentCall,
  type AgentClient,
  type AgentEvent,
  type AgentHandlers,
  type CallContext,
  type CallInput,
  type CallOptions,
  type CallOutput,
  defineAgentCall,
} from './call.ts'
export {
  type AgentClientOptions,
  type AgentConnection,
  createAgentClient,
  type RemoteAgent,
} from './client.ts'
export { type EpochStore, refuseStale } from './epoch-gate.ts'
export { EVENTS_LOST } from './event-log.ts'
export { type CommandLane, limitCalls } from './limited.ts'
export { createLocalAgent, type LocalAgent } from './local.ts'
export type { Peer, PeerRoute, RouteRequest, UpgradeRoute } from './routes.ts'
export type { SenderEpoch } from './sender-epoch.ts'
export { type AgentHello, type AgentServer, type AgentServerOptions, createAgentServer } from './server.ts'
export { agentTraffic, type CallUnderWay } from './traffic.ts'
export { joinStreams } from './tunnel.ts'
