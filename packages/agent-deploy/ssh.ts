import { createHash } from 'node:crypto'
import { Client, type ClientChannel, type ConnectConfig, type SFTPWrapper } from 'ssh2'
import { CloudError, sysErrors } from '#kernel'
import { createRemoteFiles, type RemoteFiles } from './remote-files.ts'
import { quoteCommand } from './shell-quote.ts'
import { explainSshFailure, hostKeyChanged } from './ssh-errors.ts'

export interface SshTarget {
  readonly address: string
  readonly sshPort: number
  readonly username: string
  /** One of password and private key (PEM or OpenSSH) is given. */
  readonly password?: string
  readonly privateKey?: string
  /** Fingerprint (`SHA256:…`) the host must show; what it shows is taken when undefined. */
  readonly hostKey?: string | undefined
  readonly connectTimeoutMs?: number
  readonly signal?: AbortSignal
}

export interface RemoteResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** A connection to a host. Commands are argument arrays; no other text reaches the remote shell. */
export interface SshSession {
  /** Fingerprint of the host's key, to be pinned. */
  readonly hostKey: string
  /** Runs a command to its end, whatever its status. */
  run(argv: readonly string[], options?: { readonly timeoutMs?: number }): Promise<RemoteResult>
  /** Runs a command and gives its output. Throws SYS.1006 with its last words when the status is not 0. */
  check(argv: readonly string[], options?: { readonly timeoutMs?: number }): Promise<string>
  readonly files: RemoteFiles
  close(): void
}

const COMMAND_TIMEOUT_MS = 60_000
const MAX_OUTPUT_BYTES = 1024 * 1024

/**
 * Connects over SSH. Refused logins, unreachable hosts and changed host keys are told apart (SYS.1006, SYS.1016), each with what
 * to do about it.
 */
export async function connectSsh(target: SshTarget): Promise<SshSession> {
  const client = new Client()
  const where = `${target.address}:${target.sshPort}`
  const shown = await handshake(client, target, where)
  const onAbort = () => client.destroy()
  target.signal?.addEventListener('abort', onAbort, { once: true })
  client.on('close', () => target.signal?.removeEventListener('abort', onAbort))
  // Later failures reach whoever waits for a command; without a listener they would end this process.
  client.on('error', () => undefined)
  const run: SshSession['run'] = (argv, options) => runCommand(client, where, argv, options?.timeoutMs)
  let opening: Promise<SFTPWrapper> | undefined
  const files = createRemoteFiles(async (what, work) => {
    opening ??= settle<SFTPWrapper>(client, where, 'opening SFTP', (done) => client.sftp(done))
    const sftp = await opening
    return settle(
      client,
      where,
      what,
      (done) => void work(sftp).then((value) => done(undefined, value), done),
    )
  })
  const check: SshSession['check'] = async (argv, options) => {
    const { status, stdout, stderr } = await run(argv, options)
    if (status === 0) return stdout
    const words = lastLines(stderr.trim() === '' ? stdout : stderr)
    throw new CloudError(
      sysErrors.operationFailed,
      `${argv[0]} failed on ${where} with status ${status}: ${words}`,
      { opaque: { command: quoteCommand(argv).slice(0, 500) } },
    )
  }
  return {
    hostKey: shown,
    run,
    check,
    files,
    close: () => client.end(),
  }
}

function handshake(client: Client, target: SshTarget, where: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let shown = ''
    let refusal: CloudError | undefined
    const config = configOf(target, (key) => {
      shown = fingerprint(key)
      if (target.hostKey === undefined || target.hostKey === shown) return true
      refusal = hostKeyChanged(where, { known: target.hostKey, shown })
      return false
    })
    const onAbort = () => {
      refusal = new CloudError(sysErrors.cancelled, `connecting to ${where} was cancelled`)
      client.destroy()
    }
    const done = () => target.signal?.removeEventListener('abort', onAbort)
    client.once('ready', () => {
      done()
      // Every step is a small question and its answer: held back, each would take 40 ms.
      client.setNoDelay(true)
      resolve(shown)
    })
    const fail = (error: Error) => {
      done()
      reject(refusal ?? explainSshFailure(error, where, target.username))
    }
    client.once('error', fail)
    client.once('close', () => fail(new Error('the connection was closed')))
    // Servers that ask for the password themselves (PAM) instead of taking it.
    client.on('keyboard-interactive', (_name, _text, _lang, prompts, finish) =>
      finish(prompts.map(() => target.password ?? '')),
    )
    target.signal?.addEventListener('abort', onAbort, { once: true })
    if (target.signal?.aborted) onAbort()
    else connectOrFail(client, config, fail)
  })
}

function configOf(target: SshTarget, hostVerifier: (key: Buffer) => boolean): ConnectConfig {
  return {
    host: target.address,
    port: target.sshPort,
    username: target.username,
    readyTimeout: target.connectTimeoutMs ?? 15_000,
    keepaliveInterval: 5_000,
    keepaliveCountMax: 4,
    tryKeyboard: target.password !== undefined,
    hostVerifier,
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.privateKey === undefined ? {} : { privateKey: target.privateKey }),
  }
}

/** A private key that cannot be read is thrown at once, not emitted. */
function connectOrFail(client: Client, config: ConnectConfig, fail: (error: Error) => void): void {
  try {
    client.connect(config)
  } catch (error) {
    fail(error as Error)
  }
}

/** Fingerprint as OpenSSH shows it. */
function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

async function runCommand(
  client: Client,
  where: string,
  argv: readonly string[],
  timeoutMs = COMMAND_TIMEOUT_MS,
): Promise<RemoteResult> {
  let open: ClientChannel | undefined
  let timer: NodeJS.Timeout | undefined
  try {
    return await settle<RemoteResult>(client, where, `running ${argv[0]}`, (done) => {
      timer = setTimeout(() => {
        open?.close()
        done(new CloudError(sysErrors.timeout, `${argv[0]} did not end within ${timeoutMs} ms on ${where}`))
      }, timeoutMs)
      client.exec(quoteCommand(argv), (error, channel) => {
        if (error !== undefined) return done(error)
        open = channel
        // In this very turn: status and end may come in the packet that opened the channel.
        collect(channel, (result) => done(undefined, result))
      })
    })
  } finally {
    clearTimeout(timer)
  }
}

function collect(channel: ClientChannel, done: (result: RemoteResult) => void): void {
  const output = { stdout: '', stderr: '' }
  const take = (name: 'stdout' | 'stderr') => (chunk: string) => {
    if (output[name].length < MAX_OUTPUT_BYTES) output[name] += chunk
  }
  let status = -1
  channel.setEncoding('utf8').on('data', take('stdout'))
  channel.stderr.setEncoding('utf8').on('data', take('stderr'))
  channel.on('exit', (code: number | null) => {
    status = code ?? -1
  })
  channel.on('close', () => done({ status, ...output }))
  channel.end()
}

/** Turns a callback into a promise that also fails when the connection goes. */
function settle<T>(
  client: Client,
  where: string,
  what: string,
  start: (done: (error: Error | undefined, value?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const lost = () => finish(new Error('the SSH connection was lost'))
    const finish = (error: Error | undefined, value?: T) => {
      client.off('close', lost)
      if (error === undefined) resolve(value as T)
      else if (error instanceof CloudError) reject(error)
      else reject(new CloudError(sysErrors.ioError, `${what} failed on ${where}`, { cause: error }))
    }
    client.once('close', lost)
    try {
      start(finish)
    } catch (error) {
      finish(error as Error)
    }
  })
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-5).join(' | ').slice(-1_000)
}
