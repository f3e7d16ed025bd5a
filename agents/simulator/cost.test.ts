import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startVm } from '#agents/kvm-host/contract/vm.ts'
import { parse } from '#contract'
import { createReadyHost, createSmallWorld, vmSpec } from './small-world.ts'

const vms = 20_000

function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

it('a VM takes less than 1 KB beyond its description', async () => {
  const host = await createReadyHost(await createSmallWorld())
  for (let i = 0; i < vms; i += 1) await host.createVolume(i)
  const emptyBytes = usedBytes()
  const specs = Array.from({ length: vms }, (_, i) => parse(startVm.input, { vm: vmSpec(i) }, 'test'))
  const specBytes = usedBytes() - emptyBytes
  assert.equal(specs.length, vms)
  specs.length = 0
  const beforeBytes = usedBytes()
  for (let i = 0; i < vms; i += 1) await host.client.call(startVm, { vm: vmSpec(i) })
  const beyondBytes = (usedBytes() - beforeBytes - specBytes) / vms
  assert.equal(host.state.vms.size, vms)
  assert.ok(beyondBytes < 1024, `${Math.round(beyondBytes)} bytes for each VM`)
})
