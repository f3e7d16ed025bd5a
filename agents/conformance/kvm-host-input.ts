import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AgentCall } from '#agent-rpc'
import { applyFlatNetwork, createBridge } from '#agents/kvm-host/contract/network.ts'
import { createEmptyVolume } from '#agents/kvm-host/contract/storage.ts'
import { attachNic, startVm, stopVm } from '#agents/kvm-host/contract/vm.ts'
import { sysErrors } from '#kernel'
import {
  diskOf,
  type GetKvmHost,
  type KvmHostFixture,
  nicOf,
  refused,
  testTimeout,
  vmOf,
} from './kvm-host-fixture.ts'

export function declareInputTests(getHost: GetKvmHost): void {
  describe('wrong input', testTimeout, () => {
    it('is refused where something is missing', async () => {
      await refusesField(getHost(), startVm, {}, 'vm')
      await refusesField(getHost(), createEmptyVolume, { installPath: '/x' }, 'sizeBytes')
      await refusesField(getHost(), stopVm, { graceMs: 0 }, 'vmUuid')
    })

    it('is refused where a value has the wrong type', async () => {
      const vm = vmOf(getHost(), { disks: [], nics: [] })
      await refusesField(getHost(), startVm, { vm: { ...vm, memoryBytes: 'much' } }, 'vm.memoryBytes')
      await refusesField(getHost(), startVm, { vm: { ...vm, disks: {} } }, 'vm.disks')
      await refusesField(getHost(), stopVm, { vmUuid: vm.vmUuid, graceMs: 1.5 }, 'graceMs')
    })

    it('is refused where a value is outside what is allowed', async () => {
      const vm = vmOf(getHost(), { disks: [], nics: [] })
      const disk = diskOf('/x', 0, 'none')
      await refusesField(getHost(), startVm, { vm: { ...vm, cpuNum: 0 } }, 'vm.cpuNum')
      await refusesField(getHost(), startVm, { vm: { ...vm, vmUuid: '../../etc' } }, 'vm.vmUuid')
      const wrongMode = { ...disk, cacheMode: 'fast' }
      await refusesField(getHost(), startVm, { vm: { ...vm, disks: [wrongMode] } }, 'vm.disks[0].cacheMode')
      const wrongPlace = { ...disk, deviceId: 25 }
      await refusesField(getHost(), startVm, { vm: { ...vm, disks: [wrongPlace] } }, 'vm.disks[0].deviceId')
      const wrongMac = { ...nicOf(1), mac: 'fa:5c' }
      await refusesField(getHost(), attachNic, { vmUuid: vm.vmUuid, nic: wrongMac }, 'nic.mac')
    })

    it('is refused in names that end in commands and paths', async () => {
      const names = { bridge: 'br 0;reboot', physicalInterface: 'eth0', l2NetworkUuid: 'x' }
      await refusesField(getHost(), createBridge, names, 'bridge')
      await refusesField(getHost(), applyFlatNetwork, { l3NetworkUuid: '../x' }, 'l3NetworkUuid')
    })
  })
}

async function refusesField(
  { client }: KvmHostFixture,
  call: AgentCall,
  input: Readonly<Record<string, unknown>>,
  field: string,
): Promise<void> {
  const what = `${call.name} with a wrong ${field}`
  // The type of an input this test gets wrong on purpose.
  const error = await refused(what, client.call(call, input as never), sysErrors.invalidArgument.code)
  assert.ok(error.details.includes(field), `${what}: the refusal does not name it: ${error.details}`)
}
