import { CloudError, newToken, sysErrors } from '#kernel'
import type { AgentBundle } from './bundle.ts'
import type { SshSession } from './ssh.ts'

/** Where agents live on a host. */
export const hostRoot = '/var/lib/zstack'

export function agentHome(role: string): string {
  return `${hostRoot}/agent/${role}`
}

export function runtimePath(bundle: AgentBundle): string {
  return `${hostRoot}/runtime/${bundle.runtime.sha256}/node`
}

/** Brings the Node binary when the host has not that very one. */
export async function ensureRuntime(ssh: SshSession, bundle: AgentBundle): Promise<void> {
  const path = runtimePath(bundle)
  if (await ssh.files.exists(path)) return
  const directory = path.slice(0, path.lastIndexOf('/'))
  const temporary = `${directory}/.node.${newToken(6)}`
  await ssh.check(['mkdir', '-p', directory])
  try {
    await ssh.files.upload(bundle.runtime.path, temporary, 0o755)
    await checkSum(ssh, bundle, temporary)
    // Never a rename: an agent deployed meanwhile may run from the file that would be replaced,
    // and a process whose own binary is gone cannot start another.
    const linked = await ssh.run(['ln', '-T', temporary, path])
    if (linked.status !== 0) await checkSum(ssh, bundle, path)
  } finally {
    await ssh.run(['rm', '-f', temporary]).catch(() => undefined) // best effort; a failure above is the news
  }
}

async function checkSum(ssh: SshSession, bundle: AgentBundle, path: string): Promise<void> {
  const sum = (await ssh.check(['sha256sum', '--', path])).split(' ')[0]
  if (sum === bundle.runtime.sha256) return
  throw new CloudError(
    sysErrors.ioError,
    `${path} arrived damaged: sha256 ${sum}, sent ${bundle.runtime.sha256}`,
  )
}

/** Unpacks the bundle when the host has not that very one, and makes it the current one. */
export async function ensureBundle(ssh: SshSession, bundle: AgentBundle): Promise<void> {
  const home = agentHome(bundle.role)
  const version = `versions/${bundle.hash}`
  const before = await ssh.files.readLink(`${home}/current`)
  if (!(await ssh.files.exists(`${home}/${version}`))) await unpack(ssh, bundle, `${home}/${version}`)
  if (before === version) return
  const link = `${home}/.current.${newToken(6)}`
  await ssh.check(['ln', '-s', version, link])
  await ssh.files.rename(link, `${home}/current`)
  await removeOldVersions(ssh, home, [before ?? version, version])
}

async function unpack(ssh: SshSession, bundle: AgentBundle, target: string): Promise<void> {
  const directory = target.slice(0, target.lastIndexOf('/'))
  const temporary = `${directory}/.${newToken(6)}`
  await ssh.check(['mkdir', '-p', '-m', '700', temporary])
  await ssh.files.write(`${temporary}.tar.gz`, bundle.archive, 0o600)
  await ssh.check(['tar', '-xzf', `${temporary}.tar.gz`, '-C', temporary, '--no-same-owner'])
  await ssh.check(['rm', '-f', `${temporary}.tar.gz`])
  const moved = await ssh.run(['mv', '-T', temporary, target])
  if (moved.status === 0) return
  // Another deployment of the same bundle was faster; its directory is as good as ours.
  await ssh.check(['rm', '-rf', temporary])
  await ssh.check(['test', '-d', target])
}

/** The version before stays for the sake of a process that still loads from it. */
async function removeOldVersions(ssh: SshSession, home: string, keep: readonly string[]): Promise<void> {
  const names = (await ssh.check(['ls', '-A', `${home}/versions`])).split('\n').filter((name) => name !== '')
  const old = names.filter((name) => !keep.includes(`versions/${name}`))
  if (old.length > 0) await ssh.check(['rm', '-rf', '--', ...old.map((name) => `${home}/versions/${name}`)])
}
