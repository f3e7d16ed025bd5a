import type { Field, Relation, Resource } from '#contract'

/** Every resource of the loaded plugins, found by inventory name, and how they hang together. */
export interface ResourceRegistry {
  readonly all: readonly Resource[]
  byInventory(name: string): Resource | undefined
  /** By the name in references and tags, `VmInstanceVO`. */
  byVoName(name: string): Resource | undefined
  childrenOf(resource: Resource): readonly Resource[]
  /** A field of the resource itself, of its parent or of one of its subclasses, and the resource that stores it. */
  fieldOf(resource: Resource, name: string): { readonly owner: Resource; readonly field: Field } | undefined
  /** Names of every field that may be seen and asked for. */
  fieldNamesOf(resource: Resource): readonly string[]
  /** A relation of the resource itself, of its parent or of one of its subclasses. */
  relationOf(resource: Resource, name: string): FoundRelation | undefined
  /** What a name in a path stands for: a path over relations, `cluster.zone`. */
  aliasOf(resource: Resource, name: string): string | undefined
  /** Every relation of the resource and its family whose other side is loaded. */
  relationsOf(resource: Resource): readonly FoundRelation[]
  /** Names of what the resource and its family store but nobody may see or ask for. */
  hiddenOf(resource: Resource): ReadonlySet<string>
}

export interface FoundRelation {
  readonly name: string
  /** The resource whose table holds `relation.column`. */
  readonly owner: Resource
  readonly relation: Relation
  readonly target: Resource
}

const isHidden = (resource: Resource, name: string): boolean =>
  resource.hidden.includes(name) || resource.fields[name]?.constraints.secret === true

export function createRegistry(resources: readonly Resource[]): ResourceRegistry {
  const byInventory = new Map(resources.map((r) => [r.inventory, r]))
  const byVo = new Map(resources.map((r) => [`${r.name}VO`, r]))
  const children = new Map<Resource, Resource[]>()
  for (const resource of resources) {
    const parent = resource.parent?.resource
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), resource])
  }
  const family = (resource: Resource): Resource[] => {
    const parent = resource.parent?.resource
    return [resource, ...(parent === undefined ? [] : [parent]), ...(children.get(resource) ?? [])]
  }
  const found = (owner: Resource, name: string): FoundRelation | undefined => {
    const relation = Object.hasOwn(owner.relations, name) ? owner.relations[name] : undefined
    // A relation into a feature that is not loaded does not exist.
    const target = relation === undefined ? undefined : byInventory.get(relation.to)
    return relation === undefined || target === undefined ? undefined : { name, owner, relation, target }
  }
  return {
    all: resources,
    byInventory: (name) => byInventory.get(name),
    byVoName: (name) => byVo.get(name),
    childrenOf: (resource) => children.get(resource) ?? [],
    fieldOf: (resource, name) => {
      for (const owner of family(resource)) {
        const field = Object.hasOwn(owner.fields, name) ? owner.fields[name] : undefined
        if (field !== undefined && !isHidden(owner, name)) return { owner, field }
      }
      return undefined
    },
    relationOf: (resource, name) => {
      for (const owner of family(resource)) {
        const relation = found(owner, name)
        if (relation !== undefined) return relation
      }
      return undefined
    },
    aliasOf: (resource, name) =>
      family(resource).find((owner) => Object.hasOwn(owner.aliases, name))?.aliases[name],
    relationsOf: onceForEach((resource) =>
      family(resource).flatMap((owner) =>
        Object.keys(owner.relations).flatMap((name) => found(owner, name) ?? []),
      ),
    ),
    fieldNamesOf: onceForEach((resource) => [
      ...new Set(
        family(resource).flatMap((owner) =>
          Object.keys(owner.fields).filter((name) => !isHidden(owner, name)),
        ),
      ),
    ]),
    hiddenOf: onceForEach(
      (resource) =>
        new Set(
          family(resource).flatMap((owner) => [
            ...owner.hidden,
            ...Object.keys(owner.fields).filter((name) => isHidden(owner, name)),
          ]),
        ),
    ),
  }
}

/** What never changes is worked out once. */
function onceForEach<T>(workOut: (resource: Resource) => T): (resource: Resource) => T {
  const known = new Map<Resource, T>()
  return (resource) => {
    let value = known.get(resource)
    if (value === undefined) {
      value = workOut(resource)
      known.set(resource, value)
    }
    return value
  }
}
