import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { CallContext } from '#agent-rpc'
import { silentLogger } from '#kernel'
import type { OpenImage } from './cache-image.ts'
import { createStorageHandlers } from './handlers.ts'

export const run = promisify(execFile)

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

/** A host's storage commands on a root of the test's own. */
export async function arrangeHost(t: TestContext, openImage: OpenImage = noImages, root?: string) {
  const base = await mkdtemp(join(tmpdir(), 'zs-kvm-'))
  t.after(() => rm(base, { recursive: true, force: true }))
  const stateDirectory = join(base, 'state')
  const storage = { root: root ?? join(base, 'ps'), storageUuid: 'a'.repeat(32) }
  const handlers = createStorageHandlers({ stateDirectory, openImage, log: silentLogger })
  await handlers.initStorage(storage, callContext())
  return { base, root: storage.root, storage, stateDirectory, handlers }
}

const noImages: OpenImage = () => Promise.reject(new Error('this test opens no image'))

/** An image a backup storage would serve, and the input of the call that caches it. */
export function imageOf(content: Buffer, cachePath: string, format: 'qcow2' | 'raw' | 'iso' = 'raw') {
  return {
    source: { address: '127.0.0.1', port: 7171, path: '/bs/image' },
    cachePath,
    sizeBytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    format,
  }
}

/** Serves the bytes in pieces of 64 KiB. */
export const serving =
  (content: Buffer, size = content.length): OpenImage =>
  async () => ({ stream: Readable.from(piecesOf(content)), size })

function* piecesOf(content: Buffer): Generator<Buffer> {
  for (let at = 0; at < content.length; at += 65536) yield content.subarray(at, at + 65536)
}
