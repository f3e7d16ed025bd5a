import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream/promises'

/** Serves one file: `file-server.ts FILE ADDRESS PORT`. Used while the demo's image is fetched. */
const [file = '', address = '127.0.0.1', port = '0'] = process.argv.slice(2)
const { size } = statSync(file)

createServer((_request, response) => {
  response.writeHead(200, { 'content-length': size, 'content-type': 'application/octet-stream' })
  // A client that leaves early is no error of ours.
  pipeline(createReadStream(file), response).catch(() => response.destroy())
}).listen(Number(port), address)
