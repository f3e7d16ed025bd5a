/**
 * The vocabulary every declaration is written in. A field is plain data (it can be printed, sent to a browser, turned into
 * a form); the TypeScript type of its value rides along in a phantom member that never exists at run time.
 */
export type FieldKind =
  | 'string'
  | 'int'
  | 'long'
  | 'boolean'
  | 'timestamp'
  | 'list'
  | 'map'
  | 'struct'
  | 'any'

export interface Field<T = unknown, Required extends boolean = boolean> {
  readonly kind: FieldKind
  readonly required: Required
  readonly description: string
  readonly constraints: Constraints
  readonly __value?: T
}

export interface Constraints {
  /** Highest number of characters of a string. */
  readonly max?: number
  /** Inclusive range of a number. */
  readonly range?: readonly [number, number]
  readonly choices?: readonly string[]
  readonly pattern?: RegExp
  readonly notEmpty?: boolean
  /** The resource kind (`ZoneVO`) a uuid must name; checked to exist before anything is done. */
  readonly resource?: string
  /** A missing resource makes the call succeed at once: deleting what is gone is not an error. */
  readonly successIfMissing?: boolean
  readonly default?: unknown
  /** Never logged, never returned. */
  readonly secret?: boolean
  /** Kept exactly as sent; other strings lose surrounding white space. */
  readonly noTrim?: boolean
  /** Known to existing clients, but nothing stands behind it yet: refused when it is given. */
  readonly unsupported?: boolean
  readonly element?: Field
  readonly shape?: Shape
  /** Name of the struct or inventory of a `struct` field. */
  readonly structName?: string
  readonly example?: unknown
}

export type Shape = Readonly<Record<string, Field>>

type Value<F> = F extends Field<infer T, boolean> ? T : never
type RequiredKeys<S extends Shape> = { [K in keyof S]: S[K]['required'] extends true ? K : never }[keyof S]

/** The TypeScript type of an object that satisfies `S`. */
export type Infer<S extends Shape> = { [K in RequiredKeys<S>]: Value<S[K]> } & {
  [K in Exclude<keyof S, RequiredKeys<S>>]?: Value<S[K]> | undefined
}

function field<T>(kind: FieldKind, description: string, constraints: Constraints = {}): Field<T, true> {
  return { kind, required: true, description, constraints }
}

/** A string of at most `max` characters, 2048 when not said. */
export function text(description: string, constraints: Constraints = {}): Field<string, true> {
  return field('string', description, { max: 2048, ...constraints })
}

/** A uuid of a resource of kind `resource`, for example `ZoneVO`. */
export function ref(
  resource: string,
  description: string,
  constraints: Constraints = {},
): Field<string, true> {
  return field('string', description, { max: 32, resource, ...constraints })
}

export function refs(
  resource: string,
  description: string,
  constraints: Constraints = {},
): Field<string[], true> {
  return field('list', description, { ...constraints, element: ref(resource, description) })
}

/** One of a closed set of words. */
export function choice<const V extends readonly string[]>(
  description: string,
  choices: V,
): Field<V[number], true> {
  return field('string', description, { choices })
}

export function int(description: string, range?: readonly [number, number]): Field<number, true> {
  return field('int', description, { range: range ?? [-2147483648, 2147483647] })
}

/** A whole number up to 2^53-1: sizes in bytes, capacities. */
export function long(description: string, range?: readonly [number, number]): Field<number, true> {
  return field('long', description, { range: range ?? [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] })
}

// 1 PiB. Sums over all hosts must stay whole numbers, also when one of them lies.
const MAX_BYTES = 2 ** 50

/** A size somebody measured, in bytes: 0 to 1 PiB. */
export function bytes(description: string): Field<number, true> {
  return long(description, [0, MAX_BYTES])
}

export function bool(description: string): Field<boolean, true> {
  return field('boolean', description)
}

/** Milliseconds since the epoch inside; the front doors write `Nov 14, 2017 2:20:57 PM`. */
export function timestamp(description: string): Field<number, true> {
  return field('timestamp', description)
}

export function list<T>(
  description: string,
  element: Field<T>,
  constraints: Constraints = {},
): Field<T[], true> {
  return field('list', description, { ...constraints, element })
}

export function map<T>(description: string, element: Field<T>): Field<Record<string, T>, true> {
  return field('map', description, { element })
}

/** A nested object with its own fields, named like the original's class. */
export function struct<S extends Shape>(
  structName: string,
  description: string,
  shape: S,
): Field<Infer<S>, true> {
  return field('struct', description, { structName, shape })
}

/** Any JSON. Only where the original promises nothing more. */
export function anything(description: string): Field<unknown, true> {
  return field('any', description)
}

/** The same field, but it may be left out. */
export function optional<T>(of: Field<T>): Field<T, false> {
  return { ...of, required: false }
}

/** A field callers may leave out although handlers always get a value. The mark exists in types only. */
export interface Defaulted {
  readonly __defaulted?: true
}

/** May be left out; `value` is used then. */
export function withDefault<T>(of: Field<T>, value: T): Field<T, true> & Defaulted {
  return { ...of, required: true, constraints: { ...of.constraints, default: value } }
}

/** Never logged and never returned. */
export function secret<T, R extends boolean>(of: Field<T, R>): Field<T, R> {
  return { ...of, constraints: { ...of.constraints, secret: true } }
}

/** A parameter of the original that nothing stands behind yet: giving it is an error, never silently ignored. */
export function unsupported<T>(of: Field<T>): Field<T, false> {
  const constraints = { ...of.constraints, unsupported: true }
  return { ...of, required: false, description: `Not supported yet. ${of.description}`, constraints }
}
