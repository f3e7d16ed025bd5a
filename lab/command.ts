import { spawn } from 'node:child_process'
import { LabError } from './error.ts'

export interface CommandResult {
  /** Exit status; 128 + signal number is not used, a killed command has status null and `signal` set. */
  status: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface CommandOptions {
  input?: string
  env?: NodeJS.ProcessEnv
  /** Resolve also when the command fails (default: reject with a LabError that carries stderr). */
  allowFailure?: boolean
  timeoutMs?: number
}

/** Runs a command to its end, without a shell. */
export function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv
  if (file === undefined) throw new LabError('an empty command cannot be run')
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env && { env: options.env }),
      ...(options.timeoutMs && { timeout: options.timeoutMs, killSignal: 'SIGKILL' }),
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk) => out.push(chunk))
    child.stderr.on('data', (chunk) => err.push(chunk))
    // a command that ends without reading its input closes the pipe; its exit status tells the story
    child.stdin.on('error', () => {})
    child.on('error', (cause) => reject(new LabError(`cannot start ${file}: ${cause.message}`, { cause })))
    child.on('close', (status, signal) => {
      const result = {
        status,
        signal,
        stdout: String(Buffer.concat(out)),
        stderr: String(Buffer.concat(err)),
      }
      if (status === 0 || options.allowFailure) resolve(result)
      else reject(new LabError(describe(argv, result)))
    })
    child.stdin.end(options.input)
  })
}

function describe(argv: readonly string[], { status, signal, stdout, stderr }: CommandResult): string {
  const how = signal ? `was killed by ${signal}` : `ended with status ${status}`
  return `${argv.join(' ')} ${how}: ${(stderr.trim() || stdout.trim() || 'no output').slice(-2000)}`
}
