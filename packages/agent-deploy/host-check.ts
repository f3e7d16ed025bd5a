import { CloudError, sysErrors } from '#kernel'
import type { SshSession } from './ssh.ts'

/** What deployment needs to know about a host. */
export interface HostFacts {
  /** PRETTY_NAME of /etc/os-release. */
  readonly distribution: string
  readonly hasSystemd: boolean
}

const machines: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' }

/** Reads what the host is. Throws SYS.1006 when an agent cannot be brought to it: not root, wrong distribution or architecture. */
export async function checkHost(ssh: SshSession, where: string, username: string): Promise<HostFacts> {
  const [release, machine, uid, init] = await Promise.all([
    ssh.files.readText('/etc/os-release'),
    ssh.check(['uname', '-m']),
    ssh.check(['id', '-u']),
    ssh.files.readText('/proc/1/comm'),
  ])
  if (uid.trim() !== '0') {
    throw refuse(`${username} is not root on ${where}; log in as root (sudo is not supported)`)
  }
  const fields = parseOsRelease(release ?? '')
  const distribution = fields.PRETTY_NAME ?? fields.ID ?? 'an unknown system'
  const families = [fields.ID, ...(fields.ID_LIKE ?? '').split(' ')]
  if (!families.includes('debian') && !families.includes('ubuntu')) {
    throw refuse(`${where} runs ${distribution}; supported are Debian, Ubuntu and their derivatives`)
  }
  if (machine.trim() !== machines[process.arch]) {
    const own = machines[process.arch] ?? process.arch
    throw refuse(`${where} is a ${machine.trim()} machine; this management node can only serve ${own} hosts`)
  }
  return { distribution, hasSystemd: init?.trim() === 'systemd' }
}

/** `KEY=value` lines, values with or without quotes. */
export function parseOsRelease(text: string): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim())
    if (match?.[1] !== undefined) fields[match[1]] = match[2] ?? match[3] ?? match[4] ?? ''
  }
  return fields
}

function refuse(details: string): CloudError {
  return new CloudError(sysErrors.operationFailed, details)
}
