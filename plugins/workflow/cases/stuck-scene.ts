import type { TestContext } from 'node:test'
import { CloudError, sysErrors } from '#kernel'
import { createVm } from '#plugins/vm/cases/vm-scene.ts'
import { type DataCenter, startCloud, type TestCloud, type TestCloudOptions } from '#testkit'

export interface StuckScene {
  readonly cloud: TestCloud
  readonly dc: DataCenter
  /** Makes every host answer again. */
  hostsAreBack(): void
}

/** A cloud in which the creation of the VM `web` failed at its last step, while its host went away. */
export async function startStuckCloud(t: TestContext, options: TestCloudOptions = {}): Promise<StuckScene> {
  let running: TestCloud | undefined
  const { cloud, dc } = await startCloud(
    t,
    {},
    {
      ...options,
      observe: async ({ step, phase }) => {
        if (step !== 'mark-running' || phase !== 'ran' || running === undefined) return undefined
        for (const { knobs } of running.world.hosts.values())
          knobs.failAlways('*', new CloudError(sysErrors.ioError, 'the host is away'))
        throw new Error('the light went out')
      },
    },
  )
  running = cloud
  await makeStuck(cloud, dc)
  const hostsAreBack = () => {
    for (const { knobs } of cloud.world.hosts.values()) knobs.clear()
  }
  return { cloud, dc, hostsAreBack }
}

async function makeStuck(cloud: TestCloud, dc: DataCenter): Promise<void> {
  try {
    await createVm(cloud, dc, { name: 'web' })
  } catch (error) {
    if (error instanceof CloudError && error.details.includes('could not be taken back')) return
    throw error
  }
  throw new Error('the creation was meant to fail')
}
