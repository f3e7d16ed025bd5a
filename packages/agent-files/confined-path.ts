import { lstat, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, normalize, sep } from 'node:path'
import { CloudError, sysErrors } from '#kernel'

/**
 * Proves that `path` lies below `root` (or is it, with `allowRoot`) and returns it normalised. Links are resolved in the part
 * that exists: a link inside the root that stays inside is fine, one that leads out or nowhere is refused. SYS.1007 otherwise.
 */
export async function confinePath(
  root: string,
  path: string,
  options: { readonly allowRoot?: boolean } = {},
): Promise<string> {
  const plain = plainAbsolutePath(path)
  const inRoot = isInside(root, plain)
  if (!inRoot || (plain === root && options.allowRoot !== true)) {
    throw refused(path, `it is not inside the storage root ${root}`)
  }
  const realRoot = await realpath(root)
  const { real, at } = await deepestExisting(plain)
  if (!isInside(realRoot, real)) {
    throw refused(path, `${at} leads to ${real}, which is outside the storage root ${root}`)
  }
  return plain
}

/** True when `path` is `root` or lies below it; both normalised. */
export function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
}

/** Refuses what no honest caller sends (relative paths, `..`, control characters) and drops doubled and trailing slashes. */
export function plainAbsolutePath(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) throw refused(path, 'it holds a control character')
  if (!isAbsolute(path)) throw refused(path, 'it is not absolute')
  if (path.split(sep).includes('..')) throw refused(path, 'it holds `..`')
  const normal = normalize(path)
  return normal.length > 1 && normal.endsWith(sep) ? normal.slice(0, -1) : normal
}

/** The deepest part of `path` that exists, and what it really is. Refuses a link that leads nowhere. */
export async function deepestExisting(path: string): Promise<{ at: string; real: string }> {
  for (let at = path; ; at = dirname(at)) {
    try {
      return { at, real: await realpath(at) }
    } catch (error) {
      if (!isMissing(error)) {
        throw new CloudError(sysErrors.ioError, `cannot look up ${at}`, { cause: error })
      }
      // realpath also says "missing" for a link to nothing, through which a file could be created elsewhere.
      if (await existsItself(at)) throw refused(path, `${at} is a symbolic link that leads nowhere`)
      if (at === sep) throw refused(path, 'not even / exists')
    }
  }
}

async function existsItself(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** True for the errors that say "there is no such file". */
export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function refused(path: string, why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `the path ${JSON.stringify(path)} is refused: ${why}`)
}
