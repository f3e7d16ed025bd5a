import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WebRoute } from '#plugin-host'

const pagesFolder = fileURLToPath(new URL('../../ui/', import.meta.url))
// Its code imports `../vendor/…`, so both folders lie side by side on the wire as well.
const novncFolder = join(dirname(fileURLToPath(import.meta.resolve('@novnc/novnc'))), '..')

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // The VNC client makes the guest's pointer shape a data: image.
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-cache',
}

/**
 * The routes of the web interface: `/`, `/ui/…` and the VNC client under `/console/novnc/…`. What may be read is listed once;
 * a path is looked up in that list and never put together with one of the file system.
 */
export async function createPages(): Promise<WebRoute[]> {
  const files = new Map<string, string>([
    ...(await listFiles(pagesFolder, '/ui')),
    ...(await listFiles(join(novncFolder, 'core'), '/console/novnc/core')),
    ...(await listFiles(join(novncFolder, 'vendor'), '/console/novnc/vendor')),
  ])
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const [path = ''] = (request.url ?? '').split('?')
    return sendFile(request, response, files.get(path))
  }
  const home = (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(302, { ...headers, Location: '/ui/index.html' }).end()
  }
  return [
    { method: 'GET', path: '/', handler: home },
    { method: 'GET', path: '/ui/*', handler: serve },
    { method: 'GET', path: '/console/novnc/*', handler: serve },
  ]
}

async function listFiles(folder: string, prefix: string): Promise<[string, string][]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile() && contentTypes[extname(entry.name)] !== undefined)
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => [`${prefix}/${file.slice(folder.length).replace(/^\/+/, '')}`, file])
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  file: string | undefined,
): Promise<void> {
  if (file === undefined) {
    response.writeHead(404, { ...headers, 'Content-Type': 'text/plain; charset=utf-8' }).end('no such page\n')
    return
  }
  const body = await readFile(file)
  const tag = `"${createHash('sha256').update(body).digest('base64url')}"`
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304, { ...headers, ETag: tag }).end()
    return
  }
  response.writeHead(200, {
    ...headers,
    ETag: tag,
    'Content-Type': contentTypes[extname(file)],
    'Content-Length': body.length,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
