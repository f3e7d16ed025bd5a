import { CloudError, sysErrors } from '#kernel'

/** The operators of a condition, as they travel on the legacy door. */
export const operators = [
  '=',
  '!=',
  '>',
  '<',
  '>=',
  '<=',
  'in',
  'not in',
  'like',
  'not like',
  'is null',
  'is not null',
] as const
export type Operator = (typeof operators)[number]

export interface QueryCondition {
  /** Field, or a path over relations: `vmNics.l3Network.name`. */
  readonly name: string
  readonly op: Operator
  readonly value?: string | undefined
}

export interface QueryRequest {
  readonly conditions: readonly QueryCondition[]
  /** 1000 when absent. */
  readonly limit?: number | undefined
  readonly start?: number | undefined
  /** Only the number of matches. */
  readonly count?: boolean | undefined
  /** The matches and their number. */
  readonly replyWithCount?: boolean | undefined
  readonly sortBy?: string | undefined
  readonly sortDirection?: 'asc' | 'desc' | undefined
  readonly fields?: readonly string[] | undefined
}

export interface QueryReply {
  readonly inventories?: Record<string, unknown>[]
  readonly total?: number
}

// The first of these found anywhere in a condition splits it, in this order; existing clients rely on it.
const spellings: readonly (readonly [string, Operator])[] = [
  ['!=', '!='],
  ['>=', '>='],
  ['<=', '<='],
  ['!?=', 'not in'],
  ['!~=', 'not like'],
  ['~=', 'like'],
  ['?=', 'in'],
  ['=', '='],
  ['>', '>'],
  ['<', '<'],
  ['is null', 'is null'],
  ['not null', 'is not null'],
]

/** Reads one `q=` condition, `name~=web%`. Throws SYS.1007 when it holds no operator. */
export function parseCondition(text: string): QueryCondition {
  for (const [spelling, op] of spellings) {
    const at = text.indexOf(spelling)
    if (at < 0) continue
    const name = text.slice(0, at).trim()
    const unary = op === 'is null' || op === 'is not null'
    // `f is not null` reads as well as `f not null`.
    if (unary) return { name: name.replace(/\s+is$/, ''), op }
    return { name, op, value: text.slice(at + spelling.length).trim() }
  }
  const known = spellings.map(([spelling]) => spelling).join(' ')
  throw new CloudError(
    sysErrors.invalidArgument,
    `the condition '${text}' has no operator; use one of: ${known}`,
  )
}
