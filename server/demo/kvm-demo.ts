import { fileURLToPath } from 'node:url'
import type { Client } from '#client'
import { waitFor } from '#kernel'
import type { Lab } from '#lab/lab.ts'
import { queryBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { attachBackupStorageToZone } from '#plugins/backup-storage/contract/zone-apis.ts'
import { createCluster, queryCluster } from '#plugins/cluster/contract/apis.ts'
import { queryHost, reconnectHost } from '#plugins/host/contract/apis.ts'
import { addImage, queryImage } from '#plugins/image/contract/apis.ts'
import { addKVMHost } from '#plugins/kvm/contract/apis.ts'
import { addLocalPrimaryStorage } from '#plugins/local-storage/contract/apis.ts'
import { queryPrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import { attachPrimaryStorageToCluster } from '#plugins/primary-storage/contract/cluster-apis.ts'
import { addSftpBackupStorage, reconnectSftpBackupStorage } from '#plugins/sftp/contract/apis.ts'
import { createZone, queryZone } from '#plugins/zone/contract/apis.ts'
import { step } from '../progress.ts'
import { ensureNetwork } from './network.ts'
import { ensure, uuidOf } from './resources.ts'
import { ensureVm, greeting } from './vm.ts'

// The directory of a lab host that lies on a real disk; everything else there is memory.
const storageRoot = '/zstack_ps/primary'
const imageRoot = '/zstack_ps/images'
const network = {
  startIp: '10.99.0.20',
  endIp: '10.99.0.250',
  netmask: '255.255.255.0',
  gateway: '10.99.0.1',
  dns: '10.97.255.3',
}

export interface DemoSetup {
  readonly client: Client
  readonly lab: Lab
  readonly hosts: number
  /** The guest image on this machine. */
  readonly image: string
}

/** A first cloud on the lab's hosts, from zone to a VM that answers; what exists is kept. */
export async function buildKvmDemo(setup: DemoSetup): Promise<{ summary: string[]; guestIp: string }> {
  const { client, lab } = setup
  const zoneUuid = uuidOf(await ensure(client, queryZone, 'zone-1', createZone, { name: 'zone-1' }))
  const cluster = { name: 'cluster-1', zoneUuid, hypervisorType: 'KVM' as const }
  const clusterUuid = uuidOf(await ensure(client, queryCluster, 'cluster-1', createCluster, cluster))
  await ensureStorage(client, zoneUuid, clusterUuid)
  for (let i = 1; i <= setup.hosts; i += 1)
    await step(`KVM host host${i}`, () => ensureHost(client, lab, `host${i}`, clusterUuid))
  const backupStorageUuid = await step('image server', () => ensureImageServer(client, lab, zoneUuid))
  const l3 = await step('network', () => ensureNetwork(client, zoneUuid, clusterUuid, network))
  const image = await step('image', () => ensureImage(setup, backupStorageUuid))
  const vm = await step('virtual machine', () => ensureVm(client, image, l3))
  const guestIp = String((vm.vmNics as { ip: string }[])[0]?.ip)
  const words = await step('guest answers', () => askGuest(lab, guestIp))
  return { guestIp, summary: [`  VM ${vm.name} runs at ${guestIp} and read its user data: ${words}`] }
}

async function ensureStorage(client: Client, zoneUuid: string, clusterUuid: string): Promise<void> {
  const input = { name: 'local', zoneUuid, url: storageRoot }
  const storage = await ensure(client, queryPrimaryStorage, 'local', addLocalPrimaryStorage, input)
  if ((storage.attachedClusterUuids as string[]).includes(clusterUuid)) return
  await client.call(attachPrimaryStorageToCluster, { primaryStorageUuid: uuidOf(storage), clusterUuid })
}

/** Adds a host, or connects it again when it was switched off meanwhile. */
async function ensureHost(client: Client, lab: Lab, name: string, clusterUuid: string): Promise<void> {
  const { address, user, password } = lab.host(name)
  const input = { name, managementIp: address, clusterUuid, username: user, password }
  const host = await ensure(client, queryHost, name, addKVMHost, input)
  if (host.status !== 'Connected' || !(await listens(lab, address, 7070))) {
    await client.call(reconnectHost, { uuid: uuidOf(host) })
  }
}

async function ensureImageServer(client: Client, lab: Lab, zoneUuid: string): Promise<string> {
  const { address, user, password } = lab.host('host1')
  const input = { name: 'images', hostname: address, username: user, password, url: imageRoot }
  const storage = await ensure(client, queryBackupStorage, 'images', addSftpBackupStorage, input)
  const uuid = uuidOf(storage)
  if (!(await listens(lab, address, 7171))) await client.call(reconnectSftpBackupStorage, { uuid })
  if (!((storage.attachedZoneUuids as string[] | undefined) ?? []).includes(zoneUuid)) {
    await client.call(attachBackupStorageToZone, { backupStorageUuid: uuid, zoneUuid })
  }
  return uuid
}

async function listens(lab: Lab, address: string, port: number): Promise<boolean> {
  const script = fileURLToPath(new URL('./probe-port.ts', import.meta.url))
  const argv = [process.execPath, script, address, String(port)]
  return (await lab.runInSwitch(argv, { allowFailure: true })).status === 0
}

/** The image reaches its server over HTTP, from this machine; the little server lives only that long. */
async function ensureImage({ client, lab, image }: DemoSetup, backupStorageUuid: string): Promise<string> {
  const port = 8999
  const script = fileURLToPath(new URL('./file-server.ts', import.meta.url))
  const server = lab.spawnInSwitch([process.execPath, script, image, '10.98.0.1', String(port)], {
    stdio: 'ignore',
  })
  try {
    await waitFor('the image to be served', () => listens(lab, '10.98.0.1', port))
    const url = `http://10.98.0.1:${port}/guest.qcow2`
    const input = {
      name: 'guest',
      url,
      format: 'qcow2',
      mediaType: 'RootVolumeTemplate' as const,
      platform: 'Linux' as const,
      backupStorageUuids: [backupStorageUuid],
    }
    return uuidOf(await ensure(client, queryImage, 'guest', addImage, input))
  } finally {
    server.kill()
  }
}

/** Waits until the guest serves what it read as its user data, and returns the greeting in it. */
function askGuest(lab: Lab, ip: string): Promise<string> {
  return waitFor(
    `the guest at ${ip} to answer`,
    async () => {
      const answer = await lab.runInSwitch(['curl', '-s', '-m', '2', `http://${ip}/user-data`], {
        allowFailure: true,
      })
      return answer.stdout.split('\n').find((line) => line.includes(greeting)) === undefined
        ? undefined
        : greeting
    },
    { timeoutMs: 60_000, intervalMs: 200 },
  )
}
