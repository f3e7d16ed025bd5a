import type { Api } from '#contract'

/** An API that lives at a path, with what the path says. */
export interface RouteMatch {
  readonly api: Api
  readonly variables: Readonly<Record<string, string>>
  /** GET …/{uuid} of a query: one resource by its key. */
  readonly byKey: boolean
}

/** Finds the APIs of a path. Literal segments win over variables; what the variables are called does not matter. */
export interface Router {
  /** Every API at this path, whatever its method; empty when the path is unknown. */
  find(segments: readonly string[]): readonly RouteMatch[]
}

interface Entry {
  readonly api: Api
  readonly names: readonly string[]
  readonly byKey: boolean
}

interface Node {
  readonly literals: Map<string, Node>
  variable: Node | undefined
  readonly entries: Entry[]
}

/** Throws when two APIs claim the same method and path (for PUT: the same body key as well). */
export function createRouter(apis: readonly Api[]): Router {
  const root = newNode()
  for (const api of apis) for (const path of [api.path, ...api.optionalPaths]) add(root, api, path)
  for (const api of apis) {
    const node = api.kind === 'query' ? nodeAt(root, `${api.path}/{uuid}`) : undefined
    if (node?.entries.some((e) => e.api.method === 'GET') === false) add(root, api, `${api.path}/{uuid}`)
  }
  return { find: (segments) => find(root, segments) }
}

function newNode(): Node {
  return { literals: new Map(), variable: undefined, entries: [] }
}

function add(root: Node, api: Api, path: string): void {
  const node = nodeAt(root, path)
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map((m) => m[1] ?? '')
  const clash = node.entries.find((e) => e.api.method === api.method && sameKey(e.api, api))
  if (clash !== undefined && clash.api !== api)
    throw new Error(`${clash.api.name} and ${api.name} both claim ${api.method} ${path}`)
  if (clash === undefined) node.entries.push({ api, names, byKey: isByKey(api, path) })
}

function isByKey(api: Api, path: string): boolean {
  return api.kind === 'query' && path === `${api.path}/{uuid}`
}

function sameKey(a: Api, b: Api): boolean {
  return a.method !== 'PUT' || a.parameterName === b.parameterName
}

function nodeAt(root: Node, path: string): Node {
  let node = root
  for (const segment of segmentsOf(path)) {
    if (segment.startsWith('{')) {
      node.variable ??= newNode()
      node = node.variable
      continue
    }
    const next = node.literals.get(segment) ?? newNode()
    node.literals.set(segment, next)
    node = next
  }
  return node
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1)
}

function find(root: Node, segments: readonly string[]): RouteMatch[] {
  const values: string[] = []
  const node = descend(root, segments, values)
  if (node === undefined) return []
  return node.entries.map(({ api, names, byKey }) => ({
    api,
    variables: Object.fromEntries(names.map((name, i) => [name, values[i] ?? ''])),
    byKey,
  }))
}

function descend(node: Node, segments: readonly string[], values: string[]): Node | undefined {
  const [head, ...rest] = segments
  if (head === undefined) return node.entries.length === 0 ? undefined : node
  const literal = node.literals.get(head)
  const found = literal === undefined ? undefined : descend(literal, rest, values)
  if (found !== undefined || node.variable === undefined || head === '') return found
  values.push(head)
  const deeper = descend(node.variable, rest, values)
  if (deeper === undefined) values.pop()
  return deeper
}
