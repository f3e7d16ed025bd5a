import type { TestContext } from 'node:test'
import type { SimulatedHost } from '#agents/simulator/kvm-host.ts'
import { addImage } from '#plugins/image/contract/apis.ts'
import { createTestCloud, type TestCloud, type TestCloudOptions } from './cloud.ts'
import { buildDataCenter, type DataCenter, type DataCenterSize } from './data-center.ts'

/** An inventory as clients see it: embedded collections included. */
// biome-ignore lint/suspicious/noExplicitAny: tests read members of inventories that their types do not list.
export type Shown = Record<string, any>

/** A cloud with a data centre for one test; disposed of when the test ends. */
export async function startCloud(
  t: TestContext,
  size: DataCenterSize = {},
  options: TestCloudOptions = {},
): Promise<{ cloud: TestCloud; dc: DataCenter }> {
  const cloud = await createTestCloud(options)
  t.after(() => cloud.dispose())
  return { cloud, dc: await buildDataCenter(cloud, size) }
}

export function inventoryOf(reply: object): Shown {
  return (reply as { inventory: Shown }).inventory
}

/** The simulated machine behind the host with this number in its data centre, counted from 0. */
export function simulatedHost(cloud: Pick<TestCloud, 'world'>, index = 0): SimulatedHost {
  const address = `10.1.${Math.floor(index / 250)}.${(index % 250) + 1}`
  const host = cloud.world.hosts.get(address)
  if (host === undefined) throw new Error(`no simulated host at ${address}`)
  return host
}

/** Adds an ISO image and returns its uuid. */
export async function addIso(cloud: Pick<TestCloud, 'call'>, backupStorage: string): Promise<string> {
  const url = 'http://images.example/install.iso?size=1048576&actual=1048576'
  const input = { name: 'iso', url, format: 'iso', mediaType: 'ISO', backupStorageUuids: [backupStorage] }
  return inventoryOf(await cloud.call(addImage, input as never)).uuid
}
