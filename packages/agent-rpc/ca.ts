import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type * as X509 from '@peculiar/x509'
import { CloudError, newToken, sysErrors } from '#kernel'

/** What one side of a mutual TLS connection shows and trusts, all PEM. `key` is secret. */
export interface TlsIdentity {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface AgentSubject {
  /** Uuid of the resource the agent serves: the name its certificate carries. */
  readonly uuid: string
  /** `kvm-host`, `backup-storage`. */
  readonly role: string
  /** IP addresses and names under which it is dialled. */
  readonly addresses: readonly string[]
}

/** The private authority that vouches for the management and its agents. Its key never leaves the management. */
export interface Authority {
  /** Certificate of the authority, PEM. */
  readonly certificate: string
  /** A key and a certificate (one year, OU=agent) for an agent. */
  issueAgent(subject: AgentSubject): Promise<TlsIdentity>
  /** A key and a certificate (one year, OU=management) for a management node. */
  issueManagement(): Promise<TlsIdentity>
}

const CERTIFICATE_FILE = 'ca.cert.pem'
const KEY_FILE = 'ca.key.pem'
const DAY_MS = 24 * 3600_000
const YEAR_MS = 365 * DAY_MS
const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const

/** Makes a new authority in `dir` (valid 10 years, key file mode 600). Refuses a directory that has one already. */
export async function createAuthority(dir: string): Promise<Authority> {
  const x509 = await loadX509()
  const keys = await crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
  const subject = [{ CN: ['ZStack agents'] }, { OU: ['authority'] }]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject,
    issuer: subject,
    ...validity(10 * YEAR_MS),
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await mkdir(dir, { recursive: true, mode: 0o700 })
  // wx: an authority is never replaced by accident; every agent out there trusts only the old one
  await writeNew(join(dir, KEY_FILE), await exportKey(x509, keys.privateKey), 0o600)
  await writeNew(join(dir, CERTIFICATE_FILE), pem(certificate), 0o644)
  return authorityOf(x509, certificate, keys.privateKey)
}

/** Reads the authority of `dir`. Throws SYS.1016 when it is not there or cannot be read. */
export async function loadAuthority(dir: string): Promise<Authority> {
  const x509 = await loadX509()
  try {
    await chmod(join(dir, KEY_FILE), 0o600)
    const keyDer = x509.PemConverter.decodeFirst(await readFile(join(dir, KEY_FILE), 'utf8'))
    const key = await crypto.subtle.importKey('pkcs8', keyDer, KEY_ALGORITHM, false, ['sign'])
    const certificate = new x509.X509Certificate(await readFile(join(dir, CERTIFICATE_FILE), 'utf8'))
    return authorityOf(x509, certificate, key)
  } catch (cause) {
    throw new CloudError(sysErrors.ioError, `cannot load the certificate authority of ${dir}`, { cause })
  }
}

function authorityOf(x509: typeof X509, issuer: X509.X509Certificate, signingKey: CryptoKey): Authority {
  const issue = async (subject: X509.JsonName, addresses: readonly string[]): Promise<TlsIdentity> => {
    const keys = await crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject,
      issuer: issuer.subject,
      ...validity(YEAR_MS),
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: SIGNING_ALGORITHM,
      extensions: await leafExtensions(x509, { issuer, publicKey: keys.publicKey, addresses }),
    })
    return { ca: pem(issuer), cert: pem(certificate), key: await exportKey(x509, keys.privateKey) }
  }
  return {
    certificate: pem(issuer),
    issueAgent: ({ uuid, role, addresses }) =>
      issue([{ CN: [uuid] }, { OU: ['agent'] }, { O: [role] }], addresses),
    issueManagement: () => issue([{ CN: ['management'] }, { OU: ['management'] }], []),
  }
}

async function leafExtensions(
  x509: typeof X509,
  of: { issuer: X509.X509Certificate; publicKey: CryptoKey; addresses: readonly string[] },
): Promise<X509.Extension[]> {
  const usages = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]
  const names = of.addresses.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const)
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension(usages),
    await x509.SubjectKeyIdentifierExtension.create(of.publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(of.issuer),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
  ]
}

/** Loaded when an authority is needed: agents and simulators import this package too and have no use for it. */
async function loadX509(): Promise<typeof X509> {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

/** A day of grace before now: clocks of hosts that were just installed are often wrong. */
function validity(forMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + forMs) }
}

/** 127 random bits; the leading hex digit keeps the number positive. */
function newSerial(): string {
  return `4${newToken(16).slice(1)}`
}

function pem(certificate: X509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

async function exportKey(x509: typeof X509, key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(path, text, { mode, flag: 'wx' })
  } catch (cause) {
    throw new CloudError(sysErrors.ioError, `cannot write ${path} of the certificate authority`, { cause })
  }
}
