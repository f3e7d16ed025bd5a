import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Who is logged in. */
export interface StoredSession {
  readonly uuid: string
  readonly accountName: string
  readonly userName: string
}

/** What the tool keeps between commands, in ~/.zstack/cli; the session is readable by its owner alone. */
export interface CliHome {
  readSession(): Promise<StoredSession | undefined>
  writeSession(session: StoredSession): Promise<void>
  dropSession(): Promise<void>
  readCache(name: string): Promise<string | undefined>
  writeCache(name: string, text: string): Promise<void>
}

export function openHome(env: Readonly<Record<string, string | undefined>>): CliHome {
  const directory = env.ZSTACK_CLI_HOME || join(homedir(), '.zstack', 'cli')
  const session = join(directory, 'session')
  const cache = (name: string) => join(directory, encodeURIComponent(name))
  return {
    readSession: async () => {
      const [uuid = '', accountName = '', userName = ''] = ((await readIfThere(session)) ?? '').split('\n')
      return uuid.trim() === '' ? undefined : { uuid: uuid.trim(), accountName, userName }
    },
    writeSession: ({ uuid, accountName, userName }) =>
      replaceFile(directory, session, [uuid, accountName, userName].filter((line) => line !== '').join('\n')),
    dropSession: () => rm(session, { force: true }),
    readCache: (name) => readIfThere(cache(name)),
    writeCache: (name, text) => replaceFile(directory, cache(name), text),
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Two commands at once never leave half a file. */
async function replaceFile(directory: string, file: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const fresh = `${file}.${process.pid}.new`
  await writeFile(fresh, text, { mode: 0o600 })
  await chmod(fresh, 0o600)
  await rename(fresh, file)
}
