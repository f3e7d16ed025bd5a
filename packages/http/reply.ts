/** What a front door answers: a status and a body that is JSON or plain text, nothing else. */
export interface HttpReply {
  readonly status: number
  readonly contentType: 'application/json' | 'text/plain'
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A request as the doors see it: method and percent-decoded path are known, the body is read on demand. */
export interface DoorRequest {
  readonly method: string
  /** Decoded, below the door's prefix, `/zones`. */
  readonly path: string
  /** The same, split before it was decoded, so that a segment may hold an encoded slash. */
  readonly segments: readonly string[]
  /** Raw query string without `?`. */
  readonly query: string
  readonly clientIp: string
  header(name: string): string | undefined
  /** The body's JSON; undefined when there is none. Throws HttpFailure(400). */
  json(): Promise<unknown>
}

/** A request that never reaches an API: answered with a plain text, as clients of the original expect. */
export class HttpFailure extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
    super(text)
    this.name = 'HttpFailure'
    this.status = status
    this.headers = headers
  }
}

export function textReply(status: number, body: string, headers = {}): HttpReply {
  return { status, contentType: 'text/plain', body, headers }
}

export function jsonReply(status: number, value: unknown, headers = {}): HttpReply {
  return { status, contentType: 'application/json', body: JSON.stringify(value), headers }
}

// Existing clients get these characters as \u escapes in everything but errors.
const ESCAPED = /[<>&='\u2028\u2029]/g

/** JSON whose `< > & = '` are escaped. They occur in strings only, so replacing them in the text is safe. */
export function escapedJson(value: unknown): string {
  return JSON.stringify(value).replace(ESCAPED, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
