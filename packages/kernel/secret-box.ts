import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CloudError, sysErrors } from './errors.ts'
import { newToken } from './ids.ts'

/** Keeps secrets that must be read again (SSH passwords) so that the database alone does not give them away. */
export interface SecretBox {
  /** The text encrypted and authenticated; each time another one. */
  seal(text: string): string
  /** The text in a sealed one. Throws SYS.1000 when it was changed, or sealed with another key. */
  open(sealed: string): string
}

const KEY_FILE = 'secret.key'
const CIPHER = 'aes-256-gcm'
const FORMAT = 'v1'

/**
 * AES-256-GCM under the key in `dataDir/secret.key` (mode 600), which is made when it is not there. Whoever backs up the database
 * backs up this file too. Throws SYS.1016 when the file cannot be read, or is not a key.
 */
export async function createSecretBox(dataDir: string): Promise<SecretBox> {
  const key = await loadKey(dataDir)
  return {
    seal: (text) => {
      const nonce = randomBytes(12)
      const cipher = createCipheriv(CIPHER, key, nonce)
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return [FORMAT, ...[nonce, cipher.getAuthTag(), body].map((part) => part.toString('base64'))].join('.')
    },
    open: (sealed) => {
      const [format, ...parts] = sealed.split('.')
      const [nonce, tag, body] = parts.map((part) => Buffer.from(part, 'base64'))
      try {
        if (format !== FORMAT || nonce === undefined || tag === undefined || body === undefined)
          throw new Error('it does not look like one')
        const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: 16 }).setAuthTag(tag)
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')
      } catch (cause) {
        const details = `a stored secret cannot be opened with ${join(dataDir, KEY_FILE)}; was the key file replaced? Set the secret again`
        throw new CloudError(sysErrors.internal, details, { cause })
      }
    },
  }
}

async function loadKey(dataDir: string): Promise<Buffer> {
  const path = join(dataDir, KEY_FILE)
  try {
    const text = (await readIfThere(path)) ?? (await makeKey(dataDir, path))
    const key = Buffer.from(text.trim(), 'hex')
    if (key.length !== 32) throw new Error('it does not hold 32 bytes in hex')
    await chmod(path, 0o600)
    return key
  } catch (cause) {
    throw new CloudError(sysErrors.ioError, `cannot use the key file ${path}`, { cause })
  }
}

/** Written whole under another name and linked: of two that make it at the same time, both use the first one's. */
async function makeKey(dataDir: string, path: string): Promise<string> {
  const draft = `${path}.${newToken(8)}`
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await writeFile(draft, newToken(32), { mode: 0o600, flag: 'wx', flush: true })
  try {
    await link(draft, path)
    // The name must survive a power cut before anything is sealed with what it names.
    const directory = await open(dataDir)
    await directory.sync().finally(() => directory.close())
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(draft)
  }
  return readFile(path, 'utf8')
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
