export { type AgentBundle, buildBundle } from './bundle.ts'
export {
  type Deployment,
  type DeployOptions,
  deployAgent,
  type RemoveOptions,
  removeAgent,
} from './deploy.ts'
export { openAuthority } from './open-authority.ts'
export { connectSsh, type RemoteResult, type SshSession, type SshTarget } from './ssh.ts'
export { type AgentTransport, createAgentTransport, type ServerAccess } from './transport.ts'
