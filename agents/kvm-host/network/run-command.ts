import { execFile } from 'node:child_process'
import { CloudError, sysErrors } from '#kernel'

export interface RunOptions {
  /** Written to the command's standard input. */
  readonly input?: string
  readonly timeoutMs?: number
  /** Exit codes that are answers, not failures. 0 always is one. */
  readonly okCodes?: readonly number[]
}

export interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command in the host's network namespace. Never through a shell. */
export type Run = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>

/** The production runner: plain execFile, 15 s unless said otherwise. Throws SYS.1006 with command, exit code and stderr. */
export const runCommand: Run = (argv, options = {}) => {
  const [file, ...args] = argv
  if (file === undefined) throw new CloudError(sysErrors.internal, 'an empty command was to be run')
  const timeoutMs = options.timeoutMs ?? 15_000
  return new Promise((resolve, reject) => {
    const limits = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 * 1024 } as const
    const child = execFile(file, args, limits, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number' && (code === 0 || options.okCodes?.includes(code) === true)) {
        resolve({ code, stdout, stderr })
        return
      }
      const how = child.killed
        ? `took longer than ${timeoutMs} ms and was killed`
        : typeof code === 'number'
          ? `exited with ${code}`
          : `could not be run (${code ?? error?.signal ?? error?.message})`
      const said = stderr.trim() === '' ? '' : `: ${stderr.trim().slice(0, 2000)}`
      reject(new CloudError(sysErrors.operationFailed, `\`${argv.join(' ')}\` ${how}${said}`))
    })
    // A command that ends before it has read all of its input is judged by its exit code, not by EPIPE.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

/** Runs a command that prints JSON (`ip -j …`) and parses it; nothing printed is an empty list. */
export async function runJson<T>(run: Run, argv: readonly string[], options?: RunOptions): Promise<T[]> {
  const { stdout } = await run(argv, options)
  return stdout.trim() === '' ? [] : (JSON.parse(stdout) as T[])
}
