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
  relationOf(
    resource: Resource,
    name: string,
  ): { readonly relation: Relation; readonly target: Resource } | undefined
}

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
  return {
    all: resources,
    byInventory: (name) => byInventory.get(name),
    byVoName: (name) => byVo.get(name),
    childrenOf: (resource) => children.get(resource) ?? [],
    fieldOf: (resource, name) => {
      for (const owner of family(resource)) {
        const field = owner.fields[name]
        if (field !== undefined && !owner.hidden.includes(name)) return { owner, field }
      }
      return undefined
    },
    relationOf: (resource, name) => {
      for (const owner of family(resource)) {
        const relation = owner.relations[name]
        if (relation === undefined) continue
        const target = byInventory.get(relation.to)
        // A relation into a feature that is not loaded does not exist.
        if (target !== undefined) return { relation, target }
      }
      return undefined
    },
  }
}
