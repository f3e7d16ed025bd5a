import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A server on the network. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Reads `HOST[:PORT][,HOST[:PORT]...]`. Adds one line to `problems` for each part that is none; `form` tells what was expected. */
export function readEndpoints(
  text: string,
  defaultPort: number,
  form: string,
  problems: string[],
): readonly Endpoint[] {
  return text.split(',').flatMap((part) => {
    const [, bracketed, plain, port = String(defaultPort)] =
      /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(part) ?? []
    const host = bracketed ?? plain
    if (host !== undefined && Number(port) > 0 && Number(port) < 65_536) return [{ host, port: Number(port) }]
    problems.push(`${form}; '${part}' is no HOST[:PORT]`)
    return []
  })
}

export interface PasswordSource {
  /** The option it is for, `--database`. */
  readonly option: string
  readonly file: string | undefined
  /** Value of the environment variable `variable`. */
  readonly fromEnvironment: string | undefined
  readonly variable: string
}

/** A password from a file or the environment: on a command line everybody sees it. */
export function readPassword(source: PasswordSource, problems: string[]): string {
  const { option, file, fromEnvironment, variable } = source
  if (file === undefined) {
    if (fromEnvironment === undefined)
      problems.push(`${option} needs a password: give ${option}-password-file FILE or set ${variable}`)
    return fromEnvironment ?? ''
  }
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    problems.push(`${option}-password-file cannot be read: ${(error as Error).message}`)
    return ''
  }
}

/** Refuses a password inside a URL. */
export function refusePassword(user: string, option: string, variable: string, problems: string[]): void {
  if (user.includes(':'))
    problems.push(
      `${option} must not hold the password, everybody sees it there; use ${option}-password-file or ${variable}`,
    )
}

/** Certificates in PEM that vouch for a server; undefined when there is no file. Adds one line to `problems` when they cannot be used. */
export function readAuthority(
  option: string,
  file: string | undefined,
  problems: string[],
): string | undefined {
  if (file === undefined) return undefined
  try {
    const text = readFileSync(file, 'utf8')
    new X509Certificate(text)
    return text
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isThere = code === undefined || code.startsWith('ERR_')
    problems.push(
      `${option} ${isThere ? `${file} holds no certificate in PEM` : `cannot be read: ${message}`}`,
    )
    return undefined
  }
}
