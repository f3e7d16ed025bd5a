import { execFile } from 'node:child_process'
import { CloudError, sysErrors } from '#kernel'

export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
  /** Undefined when it was ended by a signal. */
  readonly exitCode: number | undefined
  /** Ended because it took longer than allowed. */
  readonly timedOut: boolean
}

/**
 * Runs a program with an argument array (never a shell), in the C locale with an empty environment but PATH, and waits for
 * its end. An exit code other than 0 is a result, not an error. SYS.1016 when it cannot be started, SYS.1017 when aborted.
 */
export function runCommand(
  file: string,
  args: readonly string[],
  options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const settings = {
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      cwd: '/',
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL' as const,
      maxBuffer: 4 * 1024 * 1024,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }
    const child = execFile(file, [...args], settings, (error, stdout, stderr) => {
      if (options.signal?.aborted === true) {
        reject(new CloudError(sysErrors.cancelled, `${file} was stopped because the call was cancelled`))
      } else if (typeof error?.code === 'string') {
        // A word instead of a number: it did not start, or it wrote far more than it should.
        reject(new CloudError(sysErrors.ioError, `cannot run ${file}; is it installed?`, { cause: error }))
      } else {
        const timedOut = error?.killed === true
        resolve({ stdout, stderr, exitCode: child.exitCode ?? undefined, timedOut })
      }
    })
    child.stdin?.end()
  })
}

/** The first part of a program's words, for an error message. */
export function clipText(text: string, max = 500): string {
  const trimmed = text.trim()
  return trimmed.length <= max ? trimmed : `${trimmed.slice(0, max)}…`
}
