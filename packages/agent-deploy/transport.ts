import { fileURLToPath } from 'node:url'
import {
  type AgentConnection,
  createAgentClient,
  type RemoteAgent,
  type SenderEpoch,
  type TlsIdentity,
} from '#agent-rpc'
import type { Logger } from '#kernel'
import { type AgentBundle, buildBundle } from './bundle.ts'
import { deployAgent, removeAgent } from './deploy.ts'
import { openAuthority } from './open-authority.ts'

/** One server that carries an agent, as SSH reaches it. */
export interface ServerAccess {
  readonly uuid: string
  readonly address: string
  readonly sshPort: number
  readonly username: string
  readonly password: string
  /** Fingerprint the server must show; what it shows is taken when undefined. */
  readonly hostKey: string | undefined
}

/** How the agents of one role get to their servers and are talked to: the part that tests replace. */
export interface AgentTransport {
  /** Brings the agent there, or up to date. Repeats are fine. */
  deploy(
    server: ServerAccess & { readonly port: number },
    options: {
      onProgress: (message: string) => void
      signal: AbortSignal | undefined
      /** See `DeployOptions.forgetEpoch`. */
      forgetEpoch?: boolean
    },
  ): Promise<{ hostKey: string; agentVersion: string }>
  /** Removes the agent, not what it served. */
  remove(server: ServerAccess): Promise<void>
  /** A client of the agent that serves `uuid`; it connects when first used. */
  connect(agent: {
    uuid: string
    address: string
    port: number
  }): Promise<AgentConnection & Partial<Pick<RemoteAgent, 'openTunnel'>>>
  /** Version of the agent this management node deploys. */
  version(): Promise<string>
}

const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url))

/** The management node that deploys and talks: where its keys lie, and what it shows when it is one of several. */
interface Sender {
  readonly dataDir: string
  readonly sender?: SenderEpoch
}

/** Over SSH to deploy, over mutual TLS to talk. Nothing is read or made before the first use. */
export function createAgentTransport(role: string, node: Sender, logger: Logger): AgentTransport {
  const { dataDir } = node
  let built: Promise<AgentBundle> | undefined
  const bundle = () => {
    built ??= buildBundle(repositoryRoot, role).catch((error: unknown) => {
      built = undefined
      throw error
    })
    return built
  }
  const identity = sharedIdentity(dataDir)
  return {
    deploy: async (server, { onProgress, signal, forgetEpoch = false }) => {
      const [parcel, authority] = await Promise.all([bundle(), openAuthority(dataDir)])
      const also = signal === undefined ? {} : { signal }
      const deployment = await deployAgent({
        ...server,
        bundle: parcel,
        authority,
        onProgress,
        logger,
        forgetEpoch,
        ...also,
      })
      return { hostKey: deployment.hostKey, agentVersion: parcel.hash }
    },
    remove: async (server) => {
      await removeAgent({ ...server, role })
    },
    connect: async (agent) => createAgentClient({ ...agent, ...node.sender, tls: await identity(), logger }),
    version: async () => (await bundle()).hash,
  }
}

// Certificates hold for a year.
const IDENTITY_AGE_MS = 30 * 24 * 3600_000

/** What this management node shows to agents: the same to all, made anew for those it connects to a month later. */
function sharedIdentity(dataDir: string): () => Promise<TlsIdentity> {
  let shared: { readonly identity: Promise<TlsIdentity>; readonly madeAtMs: number } | undefined
  return () => {
    if (shared === undefined || Date.now() - shared.madeAtMs > IDENTITY_AGE_MS) {
      const identity = openAuthority(dataDir).then((authority) => authority.issueManagement())
      shared = { identity, madeAtMs: Date.now() }
      identity.catch(() => {
        shared = undefined
      })
    }
    return shared.identity
  }
}
