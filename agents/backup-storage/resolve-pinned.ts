import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { CloudError, sysErrors } from '#kernel'
import { refusalOf } from './address-policy.ts'

export interface PinnedAddress {
  readonly address: string
  readonly family: 4 | 6
}

/** All addresses of a host name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

/** The resolver every program of the machine uses. */
export const systemResolve: Resolve = async (hostname) =>
  (await lookup(hostname, { all: true })).map((entry) => entry.address)

/**
 * Resolves the host of `url` once and judges what came out. One refused address among several refuses all: a name that mixes
 * public and internal addresses is the very shape of an attack. SYS.1007 when refused, SYS.1016 when the name is unknown.
 */
export async function resolvePinned(
  url: URL,
  resolve: Resolve,
  allowPrivate: boolean,
): Promise<readonly PinnedAddress[]> {
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  const addresses = isIP(host) === 0 ? await resolveName(host, resolve) : [host]
  for (const address of addresses) {
    const why = refusalOf(address, allowPrivate)
    if (why === undefined) continue
    const told = address === host ? '' : ` (resolved from ${host})`
    throw new CloudError(
      sysErrors.invalidArgument,
      `nothing is fetched from ${address}${told}: ${why}; an administrator decides which addresses images may come from`,
    )
  }
  return addresses.map((address) => ({ address, family: isIP(address) === 6 ? 6 : 4 }))
}

async function resolveName(host: string, resolve: Resolve): Promise<readonly string[]> {
  let addresses: readonly string[]
  try {
    addresses = await resolve(host)
  } catch (error) {
    throw new CloudError(sysErrors.ioError, `the name ${host} cannot be resolved on the image server`, {
      cause: error,
    })
  }
  if (addresses.length === 0) throw new CloudError(sysErrors.ioError, `the name ${host} has no address`)
  return addresses
}
