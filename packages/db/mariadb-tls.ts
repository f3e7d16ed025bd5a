import { isIP } from 'node:net'
import { checkServerIdentity, type TLSSocket } from 'node:tls'
import type { SslOptions } from 'mysql2/promise'

// One object for each authority: the client keeps its parsed certificates and its sessions by it.
const known = new Map<string, { readonly byName: SslOptions; readonly byAddress: SslOptions }>()

interface Trust {
  readonly certificateAuthority?: string
}

/** How a server at `host` has to prove who it is; nothing when it need not. */
export function encryption({ certificateAuthority: ca }: Trust, host: string): { readonly ssl?: SslOptions } {
  if (ca === undefined) return {}
  const ssl = known.get(ca) ?? {
    byName: { ca, rejectUnauthorized: true, verifyIdentity: true },
    byAddress: {
      rejectUnauthorized: true,
      // Never the same value twice: the client then resumes no session, in which a server shows no certificate to look at.
      get ca() {
        return [ca]
      },
    },
  }
  known.set(ca, ssl)
  return { ssl: isIP(host) === 0 ? ssl.byName : ssl.byAddress }
}

/** The client compares names only: for an address it would look for `localhost` in the certificate. Throws when it is another's. */
export function checkIdentity(
  connection: { readonly connection: object },
  { host }: { readonly host: string },
  { certificateAuthority }: Trust,
): void {
  if (certificateAuthority === undefined || isIP(host) === 0) return
  const { stream } = connection.connection as { readonly stream: TLSSocket }
  const problem = checkServerIdentity(host, stream.getPeerCertificate())
  if (problem !== undefined) throw problem
}
