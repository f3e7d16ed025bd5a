import { isIP } from 'node:net'
import { type AgentHello, type Authority, agentFiles, createAgentClient, type RemoteAgent } from '#agent-rpc'
import { CloudError, type Logger, silentLogger, sysErrors, waitFor } from '#kernel'
import { ensureDaemons, restartAgent, type Service, stopAgent } from './agent-service.ts'
import type { AgentBundle } from './bundle.ts'
import { ensureCertificate, isOfAuthority } from './certificate.ts'
import { installMissing } from './debian.ts'
import { checkHost } from './host-check.ts'
import { agentHome, ensureBundle, ensureRuntime, hostRoot, runtimePath } from './install-files.ts'
import { connectSsh, type SshSession, type SshTarget } from './ssh.ts'

export interface DeployOptions extends SshTarget {
  /** Uuid of the resource (host, backup storage) the agent serves. */
  readonly uuid: string
  readonly bundle: AgentBundle
  /** Port the agent listens on. */
  readonly port: number
  /** Address it listens on: `address` when that is an IP address, else all. */
  readonly listenAddress?: string
  readonly authority: Authority
  /** Settings for the agent's handlers. */
  readonly config?: Readonly<Record<string, unknown>>
  /**
   * Makes the agent forget the highest epoch of the cluster it has seen, so that a management restored from an older backup can take
   * it over. A management that still runs with a higher epoch is no longer shut out then, until it calls again.
   */
  readonly forgetEpoch?: boolean
  /** Called with each step in words, for the task's progress. */
  readonly onProgress?: (step: string) => void
  readonly logger?: Logger
}

export interface Deployment {
  /** Fingerprint of the host's SSH key: to be kept, and given as `hostKey` from now on. */
  readonly hostKey: string
  /** False when an agent of this very bundle and configuration was running already, and was left alone. */
  readonly restarted: boolean
  readonly installedPackages: readonly string[]
  readonly distribution: string
  readonly hello: AgentHello
}

const START_TIMEOUT_MS = 30_000

/**
 * Brings an agent to a host over SSH, or up to date, and proves that it answers over mutual TLS. Repeats change nothing; an upgrade
 * restarts only the agent process. Throws SYS.1006, SYS.1016 or SYS.1001 with what to do.
 */
export async function deployAgent(options: DeployOptions): Promise<Deployment> {
  const { bundle, authority } = options
  const progress = options.onProgress ?? (() => undefined)
  const where = `${options.address}:${options.sshPort}`
  progress(`connecting to ${where}`)
  const ssh = await connectSsh(options)
  try {
    const home = agentHome(bundle.role)
    const facts = await checkHost(ssh, where, options.username)
    await refuseForeignAgent(ssh, options, where)
    const installedPackages = await installMissing(ssh, bundle.debianPackages, (names) =>
      progress(`installing ${names.length} packages: ${names.join(' ')}`),
    )
    await ensureDaemons(ssh, bundle.daemons, facts.hasSystemd)
    await ssh.check(['mkdir', '-p', '-m', '700', home])
    progress('sending the agent')
    await ensureRuntime(ssh, bundle)
    await ensureBundle(ssh, bundle)
    const subject = { uuid: options.uuid, role: bundle.role, addresses: [options.address] }
    await ensureCertificate(ssh, home, authority, subject)
    await ensureConfig(ssh, home, options)
    const service = { role: bundle.role, hasSystemd: facts.hasSystemd, node: runtimePath(bundle) }
    if (options.forgetEpoch === true) await forgetEpoch(ssh, home, service)
    const running = await findUpToDate(ssh, home, options)
    if (running === undefined) {
      progress('starting the agent')
      await restartAgent(ssh, service)
    }
    const hello = running ?? (await waitForAgent(ssh, options))
    return {
      ...{ hostKey: ssh.hostKey, restarted: running === undefined, installedPackages },
      ...{ distribution: facts.distribution, hello },
    }
  } catch (error) {
    if (options.signal?.aborted) throw cancelled(options, error)
    throw error
  } finally {
    ssh.close()
  }
}

export interface RemoveOptions extends SshTarget {
  readonly uuid: string
  readonly role: string
}

/** Stops the agent of this uuid and removes its directory. One that is not there, or serves another uuid, is left alone. */
export async function removeAgent(options: RemoveOptions): Promise<{ removed: boolean }> {
  const ssh = await connectSsh(options)
  try {
    const home = agentHome(options.role)
    const present = await readConfig(ssh, home)
    if (present === undefined || present.uuid !== options.uuid) return { removed: false }
    const hasSystemd = (await ssh.files.readText('/proc/1/comm'))?.trim() === 'systemd'
    await stopAgent(ssh, { role: options.role, hasSystemd, node: String(present.runtime) })
    await ssh.check(['rm', '-rf', home])
    const others = await ssh.check(['ls', '-A', `${hostRoot}/agent`])
    if (others.trim() === '') await ssh.check(['rm', '-rf', `${hostRoot}/runtime`])
    return { removed: true }
  } finally {
    ssh.close()
  }
}

/** The agent is stopped first: one that runs has the epoch in memory, and would write it again. */
async function forgetEpoch(ssh: SshSession, home: string, service: Service): Promise<void> {
  const path = `${home}/${agentFiles.epoch}`
  if (!(await ssh.files.exists(path))) return
  await stopAgent(ssh, service)
  await ssh.check(['rm', '-f', path])
}

/** An agent that another cloud deployed is not taken from it; one of our own (an earlier resource) is. */
async function refuseForeignAgent(ssh: SshSession, options: DeployOptions, where: string): Promise<void> {
  const { role } = options.bundle
  const home = agentHome(role)
  const present = await readConfig(ssh, home)
  if (present === undefined) return
  const certificate = await ssh.files.readText(`${home}/${agentFiles.certificate}`)
  if (certificate === undefined || isOfAuthority(certificate, options.authority)) return
  throw new CloudError(
    sysErrors.operationFailed,
    `${where} already has a ${role} agent of another management (it serves ${present.uuid}). Remove it there first; ` +
      `if that management is gone, stop the agent and delete ${home} on the host`,
  )
}

async function readConfig(
  ssh: SshSession,
  home: string,
): Promise<{ uuid?: unknown; runtime?: unknown } | undefined> {
  const text = await ssh.files.readText(`${home}/${agentFiles.config}`)
  return text === undefined ? undefined : (JSON.parse(text) as { uuid?: unknown; runtime?: unknown })
}

/** Writes agent.json when it differs from what it should be. */
async function ensureConfig(ssh: SshSession, home: string, options: DeployOptions): Promise<void> {
  const { uuid, bundle, port, address, config = {} } = options
  const listen = { address: options.listenAddress ?? (isIP(address) === 0 ? '0.0.0.0' : address), port }
  const fields = {
    uuid,
    role: bundle.role,
    bundleHash: bundle.hash,
    runtime: runtimePath(bundle),
    listen,
    config,
  }
  const text = `${JSON.stringify(fields, undefined, 2)}\n`
  const path = `${home}/${agentFiles.config}`
  if ((await ssh.files.readText(path)) !== text) await ssh.files.write(path, text, 0o600)
}

/**
 * What the running agent says of itself, when it runs this bundle and started after its files were written last: an earlier
 * deployment may have been cut off between writing and restarting.
 */
async function findUpToDate(
  ssh: SshSession,
  home: string,
  options: DeployOptions,
): Promise<AgentHello | undefined> {
  // No answer, or that of another agent, is the ordinary case of a first deployment.
  const ask = (client: RemoteAgent) => client.hello({ timeoutMs: 3_000 }).catch(() => undefined)
  const hello = await withClient(options, ask)
  if (hello === undefined || hello.bundleHash !== options.bundle.hash) return undefined
  const files = [agentFiles.config, agentFiles.certificate].map((name) => `${home}/${name}`)
  const times = (await ssh.check(['stat', '-c', '%.3Y', '--', ...files])).trim().split('\n')
  return times.every((seconds) => Number(seconds) * 1_000 <= hello.startedAtMs) ? hello : undefined
}

async function waitForAgent(ssh: SshSession, options: DeployOptions): Promise<AgentHello> {
  const { bundle, signal } = options
  const what = `the ${bundle.role} agent at ${options.address}:${options.port} to answer`
  const answer = await withClient(options, (client) =>
    waitFor(
      what,
      async () => {
        if (signal?.aborted) return 'aborted' as const
        const hello = await client.hello({ timeoutMs: 2_000 })
        return hello.bundleHash === bundle.hash && hello
      },
      { timeoutMs: START_TIMEOUT_MS, intervalMs: 50 },
    ),
  ).catch(async (cause: unknown) => {
    throw await doesNotAnswer(ssh, options, cause)
  })
  if (answer === 'aborted') throw new Error('aborted by the caller')
  return answer
}

async function doesNotAnswer(ssh: SshSession, options: DeployOptions, cause: unknown): Promise<CloudError> {
  const { bundle, address, port } = options
  const log = await ssh.run(['tail', '-n', '8', `${agentHome(bundle.role)}/${agentFiles.log}`])
  const details =
    `the ${bundle.role} agent was started on ${address} but does not answer at port ${port}; is the port open? ` +
    `The end of its log: ${log.stdout.trim().slice(-1_500) || 'empty'}`
  return new CloudError(sysErrors.timeout, details, { cause })
}

async function withClient<T>(options: DeployOptions, use: (client: RemoteAgent) => Promise<T>): Promise<T> {
  const { address, port, uuid, authority, logger = silentLogger } = options
  const tls = await authority.issueManagement()
  const client = createAgentClient({ address, port, uuid, tls, logger, connectTimeoutMs: 2_000 })
  try {
    return await use(client)
  } finally {
    client.close()
  }
}

function cancelled(options: DeployOptions, cause: unknown): CloudError {
  return new CloudError(
    sysErrors.cancelled,
    `bringing the ${options.bundle.role} agent to ${options.address} was cancelled; a repeat goes on from here`,
    { cause },
  )
}
