import type { Api } from '#contract'
import type { PatientClient } from './patient-client.ts'

type Conditions =
  | readonly string[]
  | { conditions?: readonly { name: string; op: string; value?: unknown }[] }

/** Builds the data centre before anything is broken: whatever is refused is an error. */
export interface Builder {
  call(api: Api, input: object): Promise<Readonly<Record<string, unknown>>>
  /** The uuid of what was made. */
  create(api: Api, input: object): Promise<string>
  query(api: Api, conditions?: Conditions): Promise<Record<string, unknown>[]>
}

export function builderOf(client: PatientClient): Builder {
  const call: Builder['call'] = async (api, input) => {
    const outcome = await client.perform(api, input as Record<string, unknown>)
    if (outcome.kind === 'ok') return outcome.reply
    throw new Error(`${api.name} failed before anything was broken: ${JSON.stringify(outcome)}`)
  }
  return {
    call,
    create: async (api, input) => {
      const { inventory } = await call(api, input)
      return (inventory as { uuid: string }).uuid
    },
    query: (api, conditions = []) => {
      const list = Array.isArray(conditions)
        ? conditions
        : ((conditions as { conditions?: { name: string; op: string; value?: unknown }[] }).conditions ?? [])
      return client.query(
        api,
        list.map((one) => (typeof one === 'string' ? one : `${one.name}${one.op}${one.value}`)),
      )
    },
  }
}
