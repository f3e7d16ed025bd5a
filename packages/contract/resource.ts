import type { Field, Infer, Shape } from './fields.ts'

/** How a query may walk from one resource to another: `own[column] = other[otherColumn]`. */
export interface Relation {
  /** Inventory name of the other side, resolved in the registry so that resources may refer to each other. */
  readonly to: string
  readonly column: string
  readonly otherColumn: string
  /** Set on collections that are part of the inventory (`vmNics`); shown in every reply. */
  readonly embedded?: boolean
  /** Set when the embedded collection is shown as bare values of this column (`attachedClusterUuids`). */
  readonly pluck?: string
}

/** A resource: its row, its API view and its relations, declared once. */
export interface Resource<S extends Shape = Shape> {
  /** Short name, `VmInstance`; `VmInstanceVO` is the name in tags and references. */
  readonly name: string
  /** `VmInstanceInventory`. */
  readonly inventory: string
  /** Fully qualified class of the inventory on the wire. */
  readonly className: string
  readonly table: string
  readonly primaryKey: string
  /** Stored columns, all shown unless listed in `hidden`. */
  readonly fields: S
  readonly hidden: readonly string[]
  readonly relations: Readonly<Record<string, Relation>>
  /** Alternative names for paths in queries, `{ vm: 'vmInstance' }`. */
  readonly aliases: Readonly<Record<string, string>>
  /** Subclass views by the value of `type column`: their fields come from a second table joined by primary key. */
  readonly parent?: { readonly resource: Resource; readonly typeColumn: string; readonly type: string }
}

export type Row<R> = R extends Resource<infer S> ? Infer<S> : never

type ResourceSpec<S extends Shape> = Pick<Resource<S>, 'name' | 'className' | 'fields'> &
  Partial<
    Pick<Resource<S>, 'table' | 'primaryKey' | 'hidden' | 'relations' | 'aliases' | 'parent' | 'inventory'>
  >

/** Declares a resource. Table `<Name>VO`, key `uuid` and inventory `<Name>Inventory` unless said otherwise. */
export function defineResource<const S extends Shape>(spec: ResourceSpec<S>): Resource<S> {
  return {
    table: `${spec.name}VO`,
    inventory: `${spec.name}Inventory`,
    primaryKey: 'uuid',
    hidden: [],
    relations: {},
    aliases: {},
    ...spec,
  }
}

/** The inventory of `resource` as an output field. */
export function inventory<S extends Shape>(resource: Resource<S>): Field<Infer<S>, true> {
  return {
    kind: 'struct',
    required: true,
    description: `A ${resource.name}.`,
    constraints: { structName: resource.inventory, shape: resource.fields },
  }
}
