import type { createClient } from '#client'
import type { TestCloud } from '#testkit'

/** A cloud over HTTP, as what builds data centres wants it. */
export function asCloud(client: ReturnType<typeof createClient>): Pick<TestCloud, 'call' | 'query'> {
  return {
    call: client.call as never,
    query: async (api, { conditions = [] } = {}) => {
      const words = conditions.map(({ name, op, value }) => `${name}${op}${value}`)
      return (await client.query(api, words)).inventories
    },
  }
}
