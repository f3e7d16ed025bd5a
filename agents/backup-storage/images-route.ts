import { open } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { statFile } from '#agent-files'
import { CloudError, sysErrors } from '#kernel'
import type { BackupArea } from './backup-area.ts'

/**
 * `GET /images/<path below / or absolute>` for hosts: the bytes of a whole image, or the one range asked for. Temporary files
 * and the agent's own are not served.
 */
export function createImagesRoute(area: Pick<BackupArea, 'roots'>) {
  return {
    prefix: '/images/',
    allow: ['agent'] as const,
    serve: (request: { readonly path: string }, response: ServerResponse, raw: IncomingMessage) =>
      serveImage(area, request.path, response, raw),
  }
}

async function serveImage(
  area: Pick<BackupArea, 'roots'>,
  asked: string,
  response: ServerResponse,
  raw: IncomingMessage,
): Promise<void> {
  const { path } = await area.roots.confine(`/${asked.replace(/^\/+/, '')}`)
  const file = await statFile(path)
  if (file === undefined) throw new CloudError(sysErrors.resourceNotFound, `there is no image ${path}`)
  const size = file.sizeBytes
  const range = rangeOf(raw.headers, size)
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end()
    return
  }
  const { first, last } = range ?? { first: 0, last: size - 1 }
  const handle = await open(path, 'r')
  response.writeHead(range === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': last - first + 1,
    'accept-ranges': 'bytes',
    ...(range === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${size}` }),
  })
  if (raw.method === 'HEAD' || size === 0) {
    await handle.close()
    response.end()
    return
  }
  // Also closes the file, when the reader goes away as well.
  await pipeline(handle.createReadStream({ start: first, end: last, highWaterMark: 256 * 1024 }), response)
}

type Range = { readonly first: number; readonly last: number }

/** The one range asked for; undefined for the whole file (also for several ranges and for what is no range, as RFC 9110 allows). */
function rangeOf(headers: IncomingMessage['headers'], size: number): Range | 'unsatisfiable' | undefined {
  // Without validators no If-Range can hold.
  if (headers.range === undefined || headers['if-range'] !== undefined) return undefined
  const match = /^bytes=(\d*)-(\d*)$/.exec(headers.range.trim())
  if (match === null) return undefined
  const [, from = '', to = ''] = match
  if (from === '' && to === '') return undefined
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (from !== '' && to !== '' && Number(to) < Number(from)) return undefined
  return first > last ? 'unsatisfiable' : { first, last }
}
