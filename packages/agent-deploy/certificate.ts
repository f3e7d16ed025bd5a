import { X509Certificate } from 'node:crypto'
import { type Authority, agentFiles } from '#agent-rpc'
import type { SshSession } from './ssh.ts'

const RENEW_BEFORE_MS = 180 * 24 * 3600_000

interface Subject {
  readonly uuid: string
  readonly role: string
  readonly addresses: readonly string[]
}

/**
 * Sees to it that the agent has a certificate of our authority that names it and lives for another half a year.
 * The key is made here and travels over SSH only.
 */
export async function ensureCertificate(
  ssh: SshSession,
  home: string,
  authority: Authority,
  subject: Subject,
): Promise<void> {
  const { files } = ssh
  const present = await files.readText(`${home}/${agentFiles.certificate}`)
  const trusted = await files.readText(`${home}/${agentFiles.authority}`)
  const hasKey = await files.exists(`${home}/${agentFiles.key}`)
  const isOurs = trusted === authority.certificate && hasKey
  if (isOurs && present !== undefined && isGood(present, authority, subject)) return
  const identity = await authority.issueAgent(subject)
  await ssh.check(['mkdir', '-p', '-m', '700', `${home}/pki`])
  await files.write(`${home}/${agentFiles.key}`, identity.key, 0o600)
  await files.write(`${home}/${agentFiles.certificate}`, identity.cert, 0o600)
  await files.write(`${home}/${agentFiles.authority}`, identity.ca, 0o600)
}

/** True for a certificate that will do for `subject`. */
export function isGood(text: string, authority: Authority, subject: Subject): boolean {
  try {
    const certificate = new X509Certificate(text)
    const { CN } = certificate.toLegacyObject().subject
    const names = (certificate.subjectAltName ?? '').split(', ').map((name) => name.replace(/^[\w ]+:/, ''))
    return (
      isOfAuthority(text, authority) &&
      CN === subject.uuid &&
      subject.addresses.every((address) => names.includes(address)) &&
      certificate.validToDate.getTime() - Date.now() > RENEW_BEFORE_MS
    )
  } catch {
    // What cannot be read as a certificate is replaced.
    return false
  }
}

/** True when our authority signed the certificate. */
export function isOfAuthority(text: string, authority: Authority): boolean {
  try {
    return new X509Certificate(text).verify(new X509Certificate(authority.certificate).publicKey)
  } catch {
    // No certificate at all is not one of ours.
    return false
  }
}
