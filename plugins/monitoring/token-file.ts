import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newToken } from '#kernel'

// Shorter ones can be guessed; an empty file must not open the door.
const SHORTEST = 16

/** The token in `metrics.token` of the data directory, made when it is not there. An operator may write another. */
export async function readMetricsToken(dataDir: string): Promise<string> {
  const file = join(dataDir, 'metrics.token')
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const token = text?.trim()
  if (token === undefined) return makeToken(file)
  if (token.length >= SHORTEST) return token
  throw new Error(`${file} holds fewer than ${SHORTEST} characters; remove it, and a good token is made`)
}

async function makeToken(file: string): Promise<string> {
  const token = newToken()
  await writeFile(`${file}.new`, `${token}\n`, { mode: 0o600, flush: true })
  await rename(`${file}.new`, file)
  return token
}
