import { type Api, type Field, isObject, type Resource, type Shape } from '#contract'
import { formatTime } from './time.ts'

/**
 * Turns what handlers return (plain objects, times in milliseconds) into what clients read: times as text, no nulls, nothing
 * hidden or secret. It walks by the declared shape, so a string that looks like a time stays a string. On the way it notes the
 * class of every object, which older clients need to type what they receive.
 */
export interface Presenter {
  present(api: Api, output: unknown, options?: PresentOptions): Presented
}

export interface PresentOptions {
  /** Times as milliseconds, for clients that ask. */
  readonly epochTimes?: boolean
}

export interface Presented {
  readonly members: Record<string, unknown>
  /** Object path -> class name, parents before children: `inventories[0].vmNics[0]`. */
  readonly schema: Readonly<Record<string, string>>
}

interface Walk {
  readonly resources: ResourceIndex
  readonly schema: Record<string, string>
  readonly time: (epochMs: number) => unknown
}

export function createPresenter(resources: readonly Resource[]): Presenter {
  const index = indexResources(resources)
  return {
    present: (api, output, options = {}) => {
      const time = options.epochTimes === true ? (ms: number) => ms : formatTime
      const walk: Walk = { resources: index, schema: {}, time }
      const members = presentShape(walk, outputShape(api), isObject(output) ? output : {}, '')
      return { members, schema: walk.schema }
    },
  }
}

function outputShape(api: Api): Shape {
  const { resource } = api
  if (resource === undefined) return api.output
  const element = structOf(resource.inventory, resource.fields)
  const inventories = { ...structOf('', {}), kind: 'list' as const, constraints: { element } }
  return { inventories, ...api.output }
}

function structOf(structName: string, shape: Shape): Field {
  return { kind: 'struct', required: true, description: '', constraints: { structName, shape } }
}

function presentField(walk: Walk, field: Field | undefined, value: unknown, path: string): unknown {
  if (value === null || value === undefined) return undefined
  switch (field?.kind) {
    case 'timestamp':
      return typeof value === 'number' ? walk.time(value) : value
    case 'list':
      if (!Array.isArray(value)) return withoutNulls(value)
      return value.map((v, i) => presentField(walk, field.constraints.element, v, `${path}[${i}]`))
    case 'map':
      if (!isObject(value)) return value
      return mapValues(value, (v, k) => presentField(walk, field.constraints.element, v, `${path}.${k}`))
    case 'struct':
      return isObject(value) ? presentStruct(walk, field, value, path) : value
    default:
      return withoutNulls(value)
  }
}

function presentStruct(walk: Walk, field: Field, value: Record<string, unknown>, path: string): unknown {
  const { structName = '', shape = {} } = field.constraints
  const resource = walk.resources.byInventory.get(structName)
  if (resource !== undefined) return presentInventory(walk, resource, value, path)
  if (structName.includes('.')) walk.schema[path] = structName
  return presentShape(walk, shape, value, path)
}

function presentShape(
  walk: Walk,
  shape: Shape,
  value: Record<string, unknown>,
  path: string,
): Record<string, unknown> {
  const at = path === '' ? '' : `${path}.`
  return mapValues(value, (v, name) => {
    const field = Object.hasOwn(shape, name) ? shape[name] : undefined
    if (field?.constraints.secret === true) return undefined
    return presentField(walk, field, v, at + name)
  })
}

function presentInventory(
  walk: Walk,
  declared: Resource,
  value: Record<string, unknown>,
  path: string,
): Record<string, unknown> {
  const resource = walk.resources.actual(declared, value)
  const family = walk.resources.family(resource)
  walk.schema[path] = resource.className
  return mapValues(value, (v, name) => {
    const owner = family.find((r) => declares(r, name))
    return owner === undefined ? withoutNulls(v) : presentMember(walk, owner, name, v, `${path}.${name}`)
  })
}

function declares(resource: Resource, name: string): boolean {
  return (
    Object.hasOwn(resource.fields, name) ||
    Object.hasOwn(resource.relations, name) ||
    resource.hidden.includes(name)
  )
}

function presentMember(walk: Walk, owner: Resource, name: string, value: unknown, path: string): unknown {
  const field = Object.hasOwn(owner.fields, name) ? owner.fields[name] : undefined
  if (owner.hidden.includes(name) || field?.constraints.secret === true) return undefined
  if (field !== undefined) return presentField(walk, field, value, path)
  const relation = owner.relations[name]
  const target = relation === undefined ? undefined : walk.resources.byInventory.get(relation.to)
  if (target === undefined || relation?.pluck !== undefined) return withoutNulls(value)
  return presentEmbedded(walk, target, value, path)
}

function presentEmbedded(walk: Walk, target: Resource, value: unknown, path: string): unknown {
  if (!Array.isArray(value)) return isObject(value) ? presentInventory(walk, target, value, path) : value
  return value.map((v, i) => (isObject(v) ? presentInventory(walk, target, v, `${path}[${i}]`) : v))
}

/** Null members are left out at every depth; a null in a list stays, positions matter there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value ?? undefined
  return mapValues(value, withoutNulls)
}

function mapValues(
  value: Record<string, unknown>,
  change: (member: unknown, name: string) => unknown,
): Record<string, unknown> {
  const entries: [string, unknown][] = []
  for (const [name, member] of Object.entries(value)) {
    const changed = member === null || member === undefined ? undefined : change(member, name)
    if (changed !== undefined) entries.push([name, changed])
  }
  return Object.fromEntries(entries)
}

interface ResourceIndex {
  readonly byInventory: ReadonlyMap<string, Resource>
  /** The subclass whose type the row carries, or the resource itself. */
  actual(resource: Resource, row: Record<string, unknown>): Resource
  family(resource: Resource): readonly Resource[]
}

function indexResources(resources: readonly Resource[]): ResourceIndex {
  const byInventory = new Map<string, Resource>()
  for (const resource of resources) {
    byInventory.set(resource.inventory, resource)
    const parent = resource.parent?.resource
    if (parent !== undefined && !byInventory.has(parent.inventory)) byInventory.set(parent.inventory, parent)
  }
  const children = new Map<string, Resource[]>()
  for (const resource of byInventory.values()) {
    const parent = resource.parent?.resource.inventory
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), resource])
  }
  return {
    byInventory,
    actual: (resource, row) => {
      const isChild = (c: Resource) => c.parent !== undefined && row[c.parent.typeColumn] === c.parent.type
      return (children.get(resource.inventory) ?? []).find(isChild) ?? resource
    },
    family: (resource) => (resource.parent === undefined ? [resource] : [resource, resource.parent.resource]),
  }
}
