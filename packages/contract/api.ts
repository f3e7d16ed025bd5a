import type { Field, Infer, Shape } from './fields.ts'
import type { Resource } from './resource.ts'

/**
 * sync: answered at once. job: answered with a location to poll, runs as a durable task. query: generated for a resource.
 */
export type ApiKind = 'sync' | 'job' | 'query'
export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE'

export interface Api<I extends Shape = Shape, O extends Shape = Shape> {
  /** Public name, `CreateZone`. */
  readonly name: string
  /** Fully qualified message and reply classes of the legacy door. */
  readonly message: string
  readonly reply: string
  readonly kind: ApiKind
  readonly method: HttpMethod
  /** Below /zstack/v1, with `{variables}` named like input fields. */
  readonly path: string
  readonly optionalPaths: readonly string[]
  /** Key of the body that holds the parameters: `params`, the action's name, or empty for GET and DELETE. */
  readonly parameterName: string
  /** PUT …/actions: chosen by the body's key. */
  readonly isAction: boolean
  readonly needSession: boolean
  readonly summary: string
  /** A working example of the parameters, for docs and help. */
  readonly example: Readonly<Record<string, unknown>>
  readonly input: I
  readonly output: O
  /** Names of output members on the legacy door where they differ from REST: `{ valid: 'validSession' }`. */
  readonly legacyNames: Readonly<Record<string, string>>
  /** Set on queries. */
  readonly resource?: Resource
}

export type Input<A> = A extends Api<infer I, Shape> ? Infer<I> & TagInput : never
export type Output<A> = A extends Api<Shape, infer O> ? Infer<O> : never

/** Every creation may carry tags and a client-chosen uuid. */
export interface TagInput {
  readonly systemTags?: string[] | undefined
  readonly userTags?: string[] | undefined
  readonly resourceUuid?: string | undefined
}

type ApiSpec<I extends Shape, O extends Shape> = Pick<
  Api<I, O>,
  'name' | 'message' | 'path' | 'summary' | 'input'
> &
  Partial<Omit<Api<I, O>, 'name' | 'message' | 'path' | 'summary' | 'input' | 'kind'>> & {
    readonly kind?: 'sync' | 'job'
  }

/**
 * Declares an API. Defaults: a job by POST whose parameters lie under `params`; for PUT the parameters lie under the API's
 * own name in lower camel case. The reply class is the message's with Msg replaced by Event (jobs) or Reply (sync).
 */
export function defineApi<const I extends Shape, const O extends Shape>(spec: ApiSpec<I, O>): Api<I, O> {
  const method = spec.method ?? 'POST'
  const kind = spec.kind ?? 'job'
  const isAction = spec.isAction ?? method === 'PUT'
  return {
    kind,
    method,
    reply: spec.message.replace(/Msg$/, kind === 'job' ? 'Event' : 'Reply'),
    optionalPaths: [],
    parameterName: isAction ? lowerCamel(spec.name) : method === 'POST' ? 'params' : '',
    isAction,
    needSession: true,
    example: {},
    output: {} as O,
    legacyNames: {},
    ...spec,
  }
}

/** Declares the Query API of a resource. */
export function defineQuery<S extends Shape>(spec: {
  readonly name: string
  readonly message: string
  readonly path: string
  readonly resource: Resource<S>
  readonly summary?: string
  readonly optionalPaths?: readonly string[]
}): Api {
  return {
    method: 'GET',
    kind: 'query',
    reply: spec.message.replace(/Msg$/, 'Reply'),
    optionalPaths: [`${spec.path}/{uuid}`],
    parameterName: '',
    isAction: false,
    needSession: true,
    summary: `List ${spec.resource.name} by any condition on it or on what it is related to.`,
    example: { conditions: ['name=example'], limit: 10 },
    input: {},
    output: {},
    legacyNames: {},
    ...spec,
  }
}

/** What a system-wide configuration value is; `category.name` addresses it. */
export interface ConfigDefinition<T = unknown> {
  readonly category: string
  readonly name: string
  readonly description: string
  readonly field: Field<T>
  readonly defaultValue: T
}

/** Declares a global configuration. */
export function defineConfig<T>(spec: ConfigDefinition<T>): ConfigDefinition<T> {
  return spec
}

/** An internal message between services: typed input and output, routed by `key(input)` to the node that owns the key. */
export interface Message<I = unknown, O = unknown> {
  readonly name: string
  readonly key: ((input: I) => string) | undefined
  /** How long its caller waits for another node. */
  readonly timeoutMs: number
  /** Doing it again, after all or a part of it was done or taken back, comes to the same. */
  readonly idempotent: boolean
  readonly __output?: O
}

type MessageOptions = Partial<Pick<Message, 'timeoutMs' | 'idempotent'>>

/** How long a message may take on another node when it does not say: as long as in the original. */
const DEFAULT_TIMEOUT_MS = 30 * 60_000

/**
 * Declares an internal message. Without a key it runs on the node that sends it. `timeoutMs` bounds a call to another node, waiting
 * included; on its own node a call takes as long as it takes. One that is `idempotent` is done again by the new owner of its key
 * when the node that worked on it dies; the caller of any other is told that it died.
 */
export function defineMessage<I, O>(
  name: string,
  key?: (input: I) => string,
  { timeoutMs = DEFAULT_TIMEOUT_MS, idempotent = false }: MessageOptions = {},
): Message<I, O> {
  return { name, key, timeoutMs, idempotent }
}

function lowerCamel(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1)
}
