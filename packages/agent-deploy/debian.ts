import { CloudError, sysErrors } from '#kernel'
import type { SshSession } from './ssh.ts'

const INSTALL_TIMEOUT_MS = 15 * 60_000
// Node itself links against these.
const RUNTIME_PACKAGES = ['libatomic1', 'libstdc++6', 'ca-certificates']
const aptGet = [
  ...['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq'],
  ...['-o', 'DPkg::Lock::Timeout=600', '-o', 'Acquire::Retries=3', '-o', 'Dpkg::Options::=--force-confold'],
]

/** Installs those of `wanted` that dpkg does not have, and gives their names. Throws SYS.1006 with apt's words. */
export async function installMissing(
  ssh: SshSession,
  wanted: readonly string[],
  onInstall: (names: readonly string[]) => void,
): Promise<string[]> {
  const missing = await findMissing(ssh, [...RUNTIME_PACKAGES, ...wanted])
  if (missing.length === 0) return []
  onInstall(missing)
  const install = ['install', '--yes', '--no-install-recommends', ...missing]
  // The index of a fresh or long forgotten host may not know the packages, or versions that are gone.
  const simulated = await ssh.run([...aptGet, '--simulate', ...install], { timeoutMs: INSTALL_TIMEOUT_MS })
  try {
    if (simulated.status !== 0) await ssh.check([...aptGet, 'update'], { timeoutMs: INSTALL_TIMEOUT_MS })
    await ssh.check([...aptGet, ...install], { timeoutMs: INSTALL_TIMEOUT_MS })
  } catch (cause) {
    const details = `cannot install the packages the agent needs: ${missing.join(' ')}`
    throw new CloudError(sysErrors.operationFailed, details, { cause })
  }
  return missing
}

async function findMissing(ssh: SshSession, wanted: readonly string[]): Promise<string[]> {
  const format = '--showformat=${Package} ${db:Status-Status}\n'
  // It ends with status 1 when it does not know a name, and still prints the others.
  const { stdout } = await ssh.run(['dpkg-query', '--show', format, ...wanted])
  const installed = new Set(
    stdout.split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0]] : [])),
  )
  return wanted.filter((name) => !installed.has(name))
}
