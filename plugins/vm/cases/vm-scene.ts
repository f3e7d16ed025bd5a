import type { TestContext } from 'node:test'
import type { SimulatedHost } from '#agents/simulator/kvm-host.ts'
import {
  type DataCenter,
  type DataCenterSize,
  inventoryOf,
  type Shown,
  simulatedHost,
  startCloud,
  type TestCloud,
  type TestCloudOptions,
} from '#testkit'
import { createVmInstance } from '../contract/create-apis.ts'

export interface VmScene {
  readonly cloud: TestCloud
  readonly dc: DataCenter
  /** The first host's machine. */
  readonly host: SimulatedHost
  /** A VM named `web` that runs on the first host. */
  readonly vm: Shown
}

/** A data centre in which one VM runs. */
export async function startCloudWithVm(
  t: TestContext,
  size: DataCenterSize = {},
  more: object = {},
  options: TestCloudOptions = {},
): Promise<VmScene> {
  const { cloud, dc } = await startCloud(t, size, options)
  return { cloud, dc, host: simulatedHost(cloud), vm: await createVm(cloud, dc, { name: 'web', ...more }) }
}

/** Creates a VM, on the first host unless told otherwise. */
export async function createVm(cloud: TestCloud, dc: DataCenter, more: object = {}): Promise<Shown> {
  const input = { name: 'vm', imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering }
  const where = { hostUuid: dc.hosts[0], l3NetworkUuids: [dc.l3] }
  return inventoryOf(await cloud.call(createVmInstance, { ...input, ...where, ...more } as never))
}
