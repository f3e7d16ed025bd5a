import { constants, open, realpath } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { isInside } from '#agent-files'
import { CloudError, sysErrors } from '#kernel'
import type { FetchedSource, GatePolicy } from './fetch-gate.ts'

/** Opens a file: URL: only a regular file whose real path lies in a directory an administrator allowed. */
export async function openFileUrl(url: URL, policy: GatePolicy): Promise<FetchedSource> {
  if (url.hostname !== '' && url.hostname !== 'localhost') {
    throw refused(
      url.pathname,
      `it names the host ${url.hostname}; a file URL is read on the image server itself`,
    )
  }
  const path = pathOf(url)
  if (policy.filePrefixes.length === 0) throw refused(path, 'file URLs are not allowed here')
  const real = await existing(path)
  if (!(await isAllowed(real, policy.filePrefixes))) {
    // Whether a file outside exists, and where a link leads, is nothing the user may learn.
    throw notAllowed(path)
  }
  return openRegular(path, real, policy)
}

async function openRegular(path: string, real: string, policy: GatePolicy): Promise<FetchedSource> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(real, flags)
  try {
    // A directory on the way may have become a link since it was looked at: what counts is what was opened.
    const opened = await realpath(`/proc/self/fd/${file.fd}`)
    if (opened !== real) throw notAllowed(path)
    const stat = await file.stat()
    if (!stat.isFile()) throw refused(path, 'it is not a regular file')
    if (stat.size > policy.maxBytes) {
      throw refused(path, `it has ${stat.size} bytes, more than the ${policy.maxBytes} allowed`)
    }
    return {
      stream: file.createReadStream({ highWaterMark: 256 * 1024 }),
      sizeBytes: stat.size,
      explain: (cause) => new CloudError(sysErrors.ioError, `reading the file ${path} failed`, { cause }),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

function pathOf(url: URL): string {
  let path: string
  try {
    path = fileURLToPath(url)
  } catch (error) {
    throw new CloudError(sysErrors.invalidArgument, 'the file URL of the image names no path', {
      cause: error,
    })
  }
  if (path.includes('\0')) throw refused(JSON.stringify(path), 'it holds a NUL character')
  return path
}

async function existing(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch {
    // The reason (missing, no directory, a loop) would tell about places outside the allowed ones.
    throw notAllowed(path)
  }
}

async function isAllowed(real: string, prefixes: readonly string[]): Promise<boolean> {
  for (const prefix of prefixes) {
    try {
      if (isInside(await realpath(prefix), real)) return true
    } catch {
      // An allowed directory that does not exist on this machine allows nothing.
    }
  }
  return false
}

function notAllowed(path: string): CloudError {
  return refused(path, 'it is not there, or not in a directory images may be taken from')
}

function refused(path: string, why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `the file ${path} is not fetched: ${why}`)
}
