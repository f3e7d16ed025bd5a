import { promisify } from 'node:util'
import type { SFTPWrapper } from 'ssh2'
import { newToken } from '#kernel'

/** Files of a host, over SFTP: no shell is between, nor what a login script prints. */
export interface RemoteFiles {
  /** The text of a file, undefined when there is none. */
  readText(path: string): Promise<string | undefined>
  exists(path: string): Promise<boolean>
  /** Where a symbolic link points, undefined when there is none. */
  readLink(path: string): Promise<string | undefined>
  /** Writes a file under a temporary name, then gives it its own: it is there whole or not at all. */
  write(path: string, data: string | Buffer, mode: number): Promise<void>
  /** Copies a local file to `path` as it is; no temporary name. */
  upload(localPath: string, path: string, mode: number): Promise<void>
  /** Renames, replacing what has the new name. */
  rename(from: string, to: string): Promise<void>
}

const NO_SUCH_FILE = 2

/** `attempt` opens SFTP when needed and puts a failure into words. */
export function createRemoteFiles(
  attempt: <T>(what: string, work: (sftp: SFTPWrapper) => Promise<T>) => Promise<T>,
): RemoteFiles {
  return {
    readText: (path) =>
      attempt(`reading ${path}`, async (sftp) => {
        const data = await absentAsUndefined(promisify(sftp.readFile.bind(sftp))(path))
        return data?.toString('utf8')
      }),
    exists: (path) =>
      attempt(`looking for ${path}`, async (sftp) => {
        return (await absentAsUndefined(promisify(sftp.stat.bind(sftp))(path))) !== undefined
      }),
    readLink: (path) =>
      attempt(`reading ${path}`, (sftp) => absentAsUndefined(promisify(sftp.readlink.bind(sftp))(path))),
    write: (path, data, mode) =>
      attempt(`writing ${path}`, async (sftp) => {
        const temporary = `${path}.${newToken(6)}.part`
        await new Promise<void>((resolve, reject) => {
          sftp.writeFile(temporary, data, { mode, flag: 'wx' }, (e) => (e ? reject(e) : resolve()))
        })
        await promisify(sftp.ext_openssh_rename.bind(sftp))(temporary, path)
      }),
    upload: (localPath, path, mode) =>
      attempt(`uploading ${path}`, (sftp) => {
        return new Promise<void>((resolve, reject) => {
          sftp.fastPut(localPath, path, { mode }, (e) => (e ? reject(e) : resolve()))
        })
      }),
    rename: (from, to) =>
      attempt(`renaming ${from}`, (sftp) => promisify(sftp.ext_openssh_rename.bind(sftp))(from, to)),
  }
}

async function absentAsUndefined<T>(value: Promise<T>): Promise<T | undefined> {
  try {
    return await value
  } catch (error) {
    if ((error as { code?: unknown }).code === NO_SUCH_FILE) return undefined
    throw error
  }
}
