import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Authority, createAuthority, loadAuthority } from '#agent-rpc'
import { CloudError, newToken, sysErrors } from '#kernel'

const opened = new Map<string, Promise<Authority>>()

/**
 * The authority of a management node's data directory, made when there is none; one for all who ask. Whoever backs up the database
 * backs up this directory too: agents trust nobody else. Throws SYS.1016 when it can be neither read nor made.
 */
export function openAuthority(dataDir: string): Promise<Authority> {
  const dir = join(dataDir, 'agent-authority')
  const found = opened.get(dir)
  if (found !== undefined) return found
  const opening = open(dataDir, dir)
  opened.set(dir, opening)
  // A failure is told to those who asked; the next one tries again.
  opening.catch(() => opened.delete(dir))
  return opening
}

/** Made under another name, so that what has the name is whole whenever the process ends. */
async function open(dataDir: string, dir: string): Promise<Authority> {
  if (await exists(dir)) return loadAuthority(dir)
  const draft = `${dir}.${newToken(8)}`
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await createAuthority(draft)
    await rename(draft, dir)
  } catch (cause) {
    await rm(draft, { recursive: true, force: true })
    // Another process may have been quicker; then its authority is the one.
    if (!(await exists(dir)))
      throw new CloudError(sysErrors.ioError, `cannot make the certificate authority in ${dir}`, { cause })
  }
  return loadAuthority(dir)
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
