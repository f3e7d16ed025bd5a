import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { CallContext, CallInput } from '#agent-rpc'
import { silentLogger } from '#kernel'
import type { downloadImage } from './contract/index.ts'
import type { GateDeps } from './fetch-gate.ts'
import { createBackupStorageHandlers } from './handlers.ts'

export const run = promisify(execFile)

/** A directory of the test's own, removed with all it holds when the test ends. */
export async function testDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'zs-backup-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A call nobody cancels, which remembers its progress. */
export function callContext(
  signal = new AbortController().signal,
): CallContext & { readonly seen: number[] } {
  const seen: number[] = []
  return {
    callId: 'c',
    taskId: undefined,
    epoch: 0,
    signal,
    seen,
    progress: (percent) => void seen.push(percent),
  }
}

/** A web server on a loopback address that ends with the test. */
export async function serve(t: TestContext, listener: RequestListener, address = '127.0.0.1') {
  const seen: { path: string; host: string | undefined; authorization: string | undefined }[] = []
  const server = createServer((request, response) => {
    const { host, authorization } = request.headers
    seen.push({ path: request.url ?? '', host, authorization })
    listener(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://${address}:${port}`, port, seen }
}

/** Answers every request with these bytes. */
export const sending =
  (content: Buffer): RequestListener =>
  (_request, response) =>
    void response.writeHead(200, { 'content-length': content.length }).end(content)

/** An initialised image server on a root of the test's own. */
export async function arrangeBackup(t: TestContext, gate: GateDeps = {}, under?: string) {
  const base = await testDirectory(t)
  const root = join(under ?? base, 'bs')
  const deps = { stateDirectory: join(base, 'state'), agentVersion: 'v1', log: silentLogger, gate }
  const backup = createBackupStorageHandlers(deps)
  const storage = { root, storageUuid: 'b'.repeat(32) }
  await backup.handlers.initBackupStorage(storage, callContext())
  return { ...backup, base, root, storage, deps }
}

/** Input of a download with everything allowed that a test on this machine needs. */
export function downloadOf(
  url: string,
  imagePath: string,
  changes: Partial<CallInput<typeof downloadImage>> = {},
): CallInput<typeof downloadImage> {
  return {
    url,
    imagePath,
    expectedFormat: 'raw',
    maxBytes: 2 ** 30,
    allowPrivateAddresses: true,
    filePrefixes: [],
    ...changes,
  }
}
