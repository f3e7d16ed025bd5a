import { createAgentClient, type TlsIdentity } from '#agent-rpc'
import type { Logger } from '#kernel'
import type { OpenImage } from './cache-image.ts'

/** Opens images on backup storage agents over mutual TLS, with a connection for each that ends with the transfer. */
export function createImageOpener(deps: { readonly tls: TlsIdentity; readonly logger: Logger }): OpenImage {
  return async ({ address, port, path }, signal) => {
    const client = createAgentClient({ address, port, ...deps })
    try {
      const image = await client.get(`/images${path}`, { signal })
      image.stream.once('close', () => client.close())
      return image
    } catch (error) {
      client.close()
      throw error
    }
  }
}
