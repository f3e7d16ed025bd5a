import type { RemoteResult, SshSession } from './ssh.ts'

export interface TestSession extends SshSession {
  /** Every command that was run, in one line each. */
  readonly commands: string[]
}

/** A session that answers from `files` and `answer`, for what cannot be had from a real host in a test. */
export function createTestSession(
  files: Readonly<Record<string, string>>,
  answer: (command: string) => Partial<RemoteResult>,
): TestSession {
  const commands: string[] = []
  const run: SshSession['run'] = async (argv) => {
    commands.push(argv.join(' '))
    return { status: 0, stdout: '', stderr: '', ...answer(argv.join(' ')) }
  }
  const unused = () => Promise.reject(new Error('not needed here'))
  return {
    hostKey: 'SHA256:test',
    commands,
    run,
    check: async (argv) => {
      const { status, stdout, stderr } = await run(argv)
      if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
      return stdout
    },
    files: {
      readText: async (path) => files[path],
      exists: async (path) => path in files,
      readLink: async (path) => files[path],
      write: unused,
      upload: async (from, to) => void commands.push(`upload ${from} ${to}`),
      rename: unused,
    },
    close: () => undefined,
  }
}
