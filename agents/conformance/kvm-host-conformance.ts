import { after, before, describe } from 'node:test'
import { createEmptyVolume, deletePath, initStorage } from '#agents/kvm-host/contract/storage.ts'
import { newUuid } from '#kernel'
import { declareEpochTests, type EpochFixture } from './epoch-conformance.ts'
import { declareBasicsTests } from './kvm-host-basics.ts'
import { conformanceStorageUuid, type KvmHostFixture, volumePathOf } from './kvm-host-fixture.ts'
import { declareInputTests } from './kvm-host-input.ts'
import { declareNetworkTests } from './kvm-host-network.ts'
import { declareStorageTests } from './kvm-host-storage.ts'
import { declareVmTests } from './kvm-host-vm.ts'

/**
 * Declares the tests every KVM host agent must pass, real or simulated. `makeAgent` is called once; what it gives is
 * disposed of at the end, also when tests fail. `skip` is the reason why they cannot run here.
 */
export function kvmHostConformance(
  name: string,
  makeAgent: () => Promise<KvmHostFixture>,
  options: { readonly skip?: string } = {},
): void {
  describe(`KVM host agent: ${name}`, { skip: options.skip ?? false }, () => {
    let fixture: KvmHostFixture | undefined
    before(async () => {
      fixture = await makeAgent()
    })
    after(async () => {
      await fixture?.dispose()
    })
    const getHost = () => {
      if (fixture === undefined) throw new Error('the agent under test was not made')
      return fixture
    }
    declareBasicsTests(getHost)
    declareInputTests(getHost)
    declareStorageTests(getHost)
    declareNetworkTests(getHost)
    declareVmTests(getHost)
    declareEpochTests(() => volumeAtEpochs(getHost()))
  })
}

function volumeAtEpochs(host: KvmHostFixture): EpochFixture {
  const installPath = volumePathOf(host, newUuid())
  return {
    clientAt: host.clientAt,
    change: async (client) => {
      await client.call(initStorage, { root: host.storageRoot, storageUuid: conformanceStorageUuid })
      await client.call(createEmptyVolume, { installPath, sizeBytes: 2 ** 20 })
    },
    takeBack: async (client) => (await client.call(deletePath, { path: installPath })).deleted,
  }
}
