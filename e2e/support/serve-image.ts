import { fileURLToPath } from 'node:url'
import { waitFor } from '#kernel'
import { buildGuestImage } from '#lab/images/build-guest.ts'
import type { Lab } from '#lab/lab.ts'

/** Serves a file (the guest image) over HTTP where the lab's hosts can reach it. */
export async function serveImage(lab: Lab, file?: string): Promise<{ url: string; stop(): Promise<void> }> {
  const [address, port] = ['10.98.0.1', '8998']
  const script = fileURLToPath(new URL('../../server/demo/file-server.ts', import.meta.url))
  const argv = [process.execPath, script, file ?? (await buildGuestImage()), address, port]
  const server = lab.spawnInSwitch(argv, { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  const url = `http://${address}:${port}/image.qcow2`
  await waitFor('the image to be served', async () => {
    return (await lab.runInSwitch(['curl', '-sfI', '-m', '1', url], { allowFailure: true })).status === 0
  })
  return {
    url,
    stop: async () => {
      server.kill()
      await ended
    },
  }
}
