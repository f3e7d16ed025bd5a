import type { IncomingMessage } from 'node:http'
import { HttpFailure } from './reply.ts'

const MAX_BODY_BYTES = 4 * 1024 * 1024
// Nothing in the contract nests deeper than a handful; without a bound a small body could exhaust the stack.
const MAX_DEPTH = 64

/** The JSON a request carries, whatever its content type says; undefined without a body. Throws HttpFailure(400). */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const text = await readText(request)
  if (text.trim() === '') return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new HttpFailure(400, `the body is not JSON: ${(error as Error).message}`)
  }
  if (deeperThan(value, MAX_DEPTH))
    throw new HttpFailure(400, `the body nests deeper than ${MAX_DEPTH} levels`)
  return value
}

function readText(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_BODY_BYTES) {
        chunks.push(chunk)
        return
      }
      chunks.length = 0
      // The rest is read and dropped, so that the client gets to read the answer.
      request.removeAllListeners('data').resume()
      const text = `the body is larger than ${MAX_BODY_BYTES} bytes`
      reject(new HttpFailure(400, text))
    })
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    request.on('error', reject)
    request.on('aborted', () => reject(new HttpFailure(400, 'the connection ended before the body did')))
  })
}

function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const member of Object.values(value)) if (deeperThan(member, levels - 1)) return true
  return false
}
