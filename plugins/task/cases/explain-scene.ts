import type { Api } from '#contract'
import type { TestCloud } from '#testkit'
import { explainTask } from '../contract/apis.ts'

/** Begins a job and returns its uuid. */
export async function submit({ cloud }: Pick<TestCloud, 'cloud'>, api: Api, params: object): Promise<string> {
  const [session] = await cloud.context.db.all('SELECT uuid FROM SessionVO', [])
  const request = { api, params: params as Record<string, unknown>, sessionUuid: String(session?.uuid) }
  return (await cloud.dispatcher.submit(request)).jobUuid
}

export const explained = async (cloud: Pick<TestCloud, 'call'>, apiId: string) =>
  (await cloud.call(explainTask, { apiId })).inventory
