import { fileURLToPath } from 'node:url'
import { waitFor } from '#kernel'
import { buildGuestImage } from '#lab/images/build-guest.ts'
import type { Lab } from '#lab/lab.ts'

export interface ImageServer {
  /** Of the lab's guest. */
  readonly url: string
  urlOf(name: string): string
  stop(): Promise<void>
}

const [address, port] = ['10.98.0.1', '8998']

/** Serves the guest's image, and other files by name, over HTTP where the lab's hosts can reach it. */
export async function serveImage(
  lab: Lab,
  others: Readonly<Record<string, string>> = {},
): Promise<ImageServer> {
  const files = { 'guest.qcow2': await buildGuestImage(), ...others }
  const script = fileURLToPath(new URL('./image-server.ts', import.meta.url))
  const pairs = Object.entries(files).map(([name, file]) => `${name}=${file}`)
  const server = lab.spawnInSwitch([process.execPath, script, address, port, ...pairs], { stdio: 'inherit' })
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  const urlOf = (name: string) => `http://${address}:${port}/${name}`
  const url = urlOf('guest.qcow2')
  await waitFor('the image to be served', async () => {
    return (await lab.runInSwitch(['curl', '-sfI', '-m', '1', url], { allowFailure: true })).status === 0
  })
  return {
    url,
    urlOf,
    stop: async () => {
      server.kill()
      await ended
    },
  }
}
