import type { Client } from '#client'
import {
  createInstanceOffering,
  queryInstanceOffering,
} from '#plugins/offering/contract/instance-offering-apis.ts'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { startVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { ensure, uuidOf } from './resources.ts'

const MiB = 2 ** 20

/** What the first VM finds in its user data. */
export const greeting = 'hello from the user data of ZStack'

/** The first VM: from the image, on the network, with user data that says hello; started when it is off. */
export async function ensureVm(
  client: Client,
  imageUuid: string,
  l3NetworkUuid: string,
): Promise<Record<string, unknown>> {
  const offering = await ensure(client, queryInstanceOffering, 'tiny', createInstanceOffering, {
    name: 'tiny',
    cpuNum: 1,
    memorySize: 128 * MiB,
  })
  const userdata = Buffer.from(`#!/bin/sh\necho "${greeting}"\n`).toString('base64')
  const vm = await ensure(client, queryVmInstance, 'first-vm', createVmInstance, {
    name: 'first-vm',
    instanceOfferingUuid: uuidOf(offering),
    imageUuid,
    l3NetworkUuids: [l3NetworkUuid],
    systemTags: ['hostname::first-vm', `userdata::${userdata}`],
  })
  if (vm.state !== 'Stopped') return vm
  const { inventory } = await client.call(startVmInstance, { uuid: uuidOf(vm) })
  return inventory as Record<string, unknown>
}
