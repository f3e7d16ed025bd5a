import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream/promises'

/** `image-server.ts ADDRESS PORT NAME=FILE…`: serves files by name; `?cut` breaks the connection half way. */
const [address, port, ...pairs] = process.argv.slice(2)
const files = new Map(pairs.map((pair) => pair.split('=') as [string, string]))

createServer((request, response) => {
  const { pathname, search } = new URL(request.url ?? '/', 'http://server')
  const file = files.get(pathname.slice(1))
  if (file === undefined) {
    response.writeHead(404).end()
    return
  }
  const { size } = statSync(file)
  response.writeHead(200, { 'content-length': size })
  const end = search === '?cut' ? Math.floor(size / 2) : size - 1
  // A client that leaves early is no error of ours.
  pipeline(createReadStream(file, { end }), response).catch(() => response.destroy())
}).listen(Number(port), address)
