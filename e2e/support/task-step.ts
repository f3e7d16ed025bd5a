import type { Client } from '#client'
import { waitFor } from '#kernel'
import { getTaskProgress } from '#plugins/management-node/contract/task-apis.ts'

/** Waits until a job works at a step of its workflow. */
export async function reached(client: Client, jobUuid: string, step: string): Promise<void> {
  await waitFor(
    `the job to reach the step ${step}`,
    async () => {
      const { inventories = [] } = await client.call(getTaskProgress, { apiId: jobUuid, all: true })
      return inventories.some((entry) => JSON.stringify(entry).includes(`"${step}"`))
    },
    { timeoutMs: 30_000, intervalMs: 5 },
  )
}
