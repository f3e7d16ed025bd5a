import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import type { DiskSpec, NicSpec, VmSpec } from '#agents/kvm-host/contract/vm.ts'
import { newUuid, waitFor } from '#kernel'
import type { TestHost } from './test-host.ts'

export const MIB = 1024 * 1024

/** Path of a disk image that boots, prints GUEST-READY on its serial port and obeys the power button. */
export async function guestImage(): Promise<string> {
  if (process.env.GUEST_IMAGE !== undefined) return process.env.GUEST_IMAGE
  const { buildGuestImage } = await import('#lab/images/build-guest.ts')
  return buildGuestImage()
}

export function diskOf(deviceId: number): DiskSpec {
  const volumeUuid = newUuid()
  const installPath = `/run/local/${volumeUuid}.qcow2`
  return { volumeUuid, installPath, format: 'qcow2', deviceId, bus: 'virtio', cacheMode: 'none' }
}

export function nicOf(deviceId: number): NicSpec {
  const mac = `fa:00:00:00:00:0${deviceId}`
  const nicUuid = newUuid()
  const deviceName = `vnic7.${deviceId}`
  return { nicUuid, mac, ip: '192.0.2.9', bridge: 'br_eth1', deviceName, model: 'virtio' }
}

export function vmOf(name: string): VmSpec {
  return {
    vmUuid: newUuid(),
    name,
    memoryBytes: 128 * MIB,
    cpuNum: 1,
    cpuShares: 512,
    acceleration: 'tcg',
    machine: 'q35',
    disks: [diskOf(0)],
    cdroms: [{ deviceId: 0, path: '' }],
    nics: [],
    bootOrder: ['hd', 'cdrom'],
  }
}

export function statesOf(host: TestHost, vmUuid: string): string[] {
  const events = host.events.filter((event) => event.name === 'vm.state' && event.data.vmUuid === vmUuid)
  return events.map(
    ({ data }) => `${data.state}${data.reason ? `/${data.reason}` : ''}${data.byAgent ? '' : '!'}`,
  )
}

export async function makeRoot(host: TestHost, vm: VmSpec, image: string): Promise<void> {
  const [root] = vm.disks
  if (!existsSync(`${host.directory}/run/local/base.qcow2`))
    copyFileSync(image, `${host.directory}/run/local/base.qcow2`)
  const backing = ['-b', '/run/local/base.qcow2', '-F', 'qcow2']
  await host.run('qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, (root as DiskSpec).installPath)
}

export async function booted(host: TestHost, vm: VmSpec, times = 1): Promise<void> {
  const log = `${host.directory}/log/zstack-vm/${vm.vmUuid}.log`
  await waitFor(
    `the guest ${vm.name} to be up`,
    () => existsSync(log) && readFileSync(log, 'latin1').split('GUEST-READY').length > times,
    { timeoutMs: 40_000, intervalMs: 50 },
  )
}
