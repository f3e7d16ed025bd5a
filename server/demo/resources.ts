import type { CallInput, Client } from '#client'
import type { Api } from '#contract'

type Inventory = Record<string, unknown>

/** The resource of this name, made by `create` when there is none: what makes `up` repeatable. */
export async function ensure<A extends Api>(
  client: Client,
  query: Api,
  name: string,
  create: A,
  input: CallInput<A>,
): Promise<Inventory> {
  const { inventories } = await client.query(query, [`name=${name}`])
  const found = inventories[0]
  if (found !== undefined) return found
  const reply = (await client.call(create, input)) as unknown as { inventory: Inventory }
  return reply.inventory
}

export function uuidOf(inventory: Inventory): string {
  return String(inventory.uuid)
}
