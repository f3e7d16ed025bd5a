import type { Api, ConfigDefinition, Field, Relation, Resource, Shape } from '#contract'

/** The contract as plain JSON: for the command line tool, for documents, and to compare with the original's interface. */
export interface ContractJson {
  readonly apis: readonly ApiJson[]
  readonly inventories: readonly InventoryJson[]
  readonly globalConfigs: readonly {
    category: string
    name: string
    defaultValue: string
    description: string
  }[]
}

export interface ApiJson {
  readonly name: string
  readonly message: string
  readonly reply: string
  readonly kind: 'sync' | 'job' | 'query'
  readonly needSession: boolean
  readonly summary: string
  readonly example: Readonly<Record<string, unknown>>
  readonly rest: {
    readonly method: string
    readonly path: string
    readonly optionalPaths: readonly string[]
    readonly parameterName: string
    readonly isAction: boolean
  }
  readonly params: readonly ParameterJson[]
  readonly result: readonly { readonly name: string; readonly type: string }[]
  /** Inventory a query answers with. */
  readonly inventory?: string
}

export interface ParameterJson {
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly description: string
  readonly validValues?: readonly string[]
  readonly range?: readonly [number, number]
  readonly max?: number
  readonly pattern?: string
  readonly default?: unknown
  readonly example?: unknown
  readonly secret?: boolean
  /** Kind of resource the uuid names. */
  readonly resource?: string
}

export interface InventoryJson {
  readonly name: string
  readonly className: string
  readonly fields: readonly { readonly name: string; readonly type: string; readonly description: string }[]
  /** What queries may walk to: name -> inventory. */
  readonly relations: Readonly<Record<string, string>>
}

/** Describes `apis`; resources their queries name are included without being listed. */
export function describeContract(
  apis: readonly Api[],
  more: { readonly resources?: readonly Resource[]; readonly configs?: readonly ConfigDefinition[] } = {},
): ContractJson {
  const queried = apis.flatMap((api) => (api.resource === undefined ? [] : [api.resource]))
  const resources = [...new Set([...queried, ...(more.resources ?? [])])]
  const byInventory = new Map(resources.map((resource) => [resource.inventory, resource]))
  return {
    apis: apis.map(describeApi),
    inventories: resources.map((resource) => describeInventory(resource, byInventory)),
    globalConfigs: (more.configs ?? []).map((config) => ({
      category: config.category,
      name: config.name,
      defaultValue: String(config.defaultValue),
      description: config.description,
    })),
  }
}

function describeApi(api: Api): ApiJson {
  const { name, message, reply, kind, needSession, summary, example, resource } = api
  const { method, path, optionalPaths, parameterName, isAction } = api
  return {
    name,
    message,
    reply,
    kind,
    needSession,
    summary,
    example,
    rest: { method, path, optionalPaths, parameterName, isAction },
    params: kind === 'query' ? queryParameters : [...describeShape(api.input), ...commonParameters(api)],
    result:
      resource === undefined
        ? Object.entries(api.output).map(([member, field]) => ({ name: member, type: typeName(field) }))
        : [
            { name: 'inventories', type: `list<${resource.inventory}>` },
            { name: 'total', type: 'long' },
          ],
    ...(resource === undefined ? {} : { inventory: resource.inventory }),
  }
}

function optionalParameter(name: string, type: string, description: string): ParameterJson {
  return { name, type, required: false, description }
}

const queryParameters: readonly ParameterJson[] = [
  { ...optionalParameter('conditions', 'list<QueryCondition>', 'All must hold; none: all.'), required: true },
  optionalParameter('limit', 'int', 'Most that are shown, 1000 when not given.'),
  optionalParameter('start', 'int', 'How many are skipped.'),
  optionalParameter('count', 'boolean', 'Only their number.'),
  optionalParameter('replyWithCount', 'boolean', 'Them and their number.'),
  optionalParameter('sortBy', 'string', 'Field to sort by.'),
  { ...optionalParameter('sortDirection', 'string', 'Direction.'), validValues: ['asc', 'desc'] },
  optionalParameter('fields', 'list<string>', 'Only these fields are shown.'),
]

function commonParameters(api: Api): ParameterJson[] {
  const common = [
    optionalParameter('systemTags', 'list<string>', 'System tags.'),
    optionalParameter('userTags', 'list<string>', 'User tags.'),
  ]
  if (api.method === 'POST' && api.kind === 'job')
    common.unshift(optionalParameter('resourceUuid', 'string', 'Uuid the new resource gets.'))
  return common.filter(({ name }) => !Object.hasOwn(api.input, name))
}

function describeShape(shape: Shape): ParameterJson[] {
  return Object.entries(shape).map(([name, field]) => describeParameter(name, field))
}

function describeParameter(name: string, field: Field): ParameterJson {
  const { choices, range, max, pattern, example, secret, resource, element } = field.constraints
  const fallback = field.constraints.default
  return {
    name,
    type: typeName(field),
    required: field.required && fallback === undefined,
    description: field.description,
    ...(choices === undefined ? {} : { validValues: choices }),
    ...(range === undefined ? {} : { range }),
    ...(max === undefined ? {} : { max }),
    ...(pattern === undefined ? {} : { pattern: pattern.source }),
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(example === undefined ? {} : { example }),
    ...(secret === true ? { secret } : {}),
    ...withResource(resource ?? element?.constraints.resource),
  }
}

function withResource(resource: string | undefined): { resource?: string } {
  return resource === undefined ? {} : { resource }
}

function typeName(field: Field): string {
  const { element, structName } = field.constraints
  if (field.kind === 'list') return `list<${element === undefined ? 'any' : typeName(element)}>`
  if (field.kind === 'struct') return structName?.split('.').at(-1) ?? 'any'
  return field.kind
}

function describeInventory(resource: Resource, byInventory: ReadonlyMap<string, Resource>): InventoryJson {
  const parent = resource.parent?.resource
  const family = parent === undefined ? [resource] : [parent, resource]
  const fields = new Map<string, InventoryJson['fields'][number]>()
  const relations = new Map<string, string>()
  for (const owner of family) {
    for (const [name, field] of Object.entries(owner.fields)) {
      if (owner.hidden.includes(name) || field.constraints.secret === true) continue
      fields.set(name, { name, type: typeName(field), description: field.description })
    }
    for (const [name, relation] of Object.entries(owner.relations)) {
      relations.set(name, relation.to)
      const type = embeddedType(relation, byInventory)
      if (type !== undefined) fields.set(name, { name, type, description: `Related ${relation.to}.` })
    }
  }
  return {
    name: resource.inventory,
    className: resource.className,
    fields: [...fields.values()],
    relations: Object.fromEntries(relations),
  }
}

function embeddedType(relation: Relation, byInventory: ReadonlyMap<string, Resource>): string | undefined {
  if (relation.embedded !== true) return undefined
  if (relation.pluck === undefined) return `list<${relation.to}>`
  const field = byInventory.get(relation.to)?.fields[relation.pluck]
  return `list<${field === undefined ? 'string' : typeName(field)}>`
}
