import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm } from '#plugins/volume/contract/attachment-apis.ts'
import {
  type Arrangement,
  arrange,
  audit,
  auditAt,
  buildDataCenter,
  inventoryOf,
  type Place,
  simulatedHost,
  type TestCloud,
  testDialect,
  withCopy,
} from '#testkit'
import { type Fault, faultsInBooks, faultsInWorld } from './planted-faults.ts'

describe('the auditor finds every planted fault', () => {
  let base: Arrangement
  before(async () => {
    base = await arrange(undefined, prepare)
  })
  after(() => base.dispose())

  it('and nothing where there is none', () =>
    withCopy(base, {}, async ({ cloud, world }) => {
      assert.deepEqual(await audit(cloud.context.db, world, { everyoneConnected: true }), [])
    }))

  for (const fault of [...faultsInBooks, ...faultsInWorld])
    it(fault.what, () =>
      withCopy(base, {}, async (cloud) => {
        await plant(fault, cloud, base.place)
        const found = await audit(cloud.cloud.context.db, cloud.world)
        assert.ok(
          found.some((line) => fault.says.test(line)),
          `expected ${fault.says}, found:\n${found.join('\n')}`,
        )
      }),
    )

  it('tells of a host that is not connected when it is asked to', () =>
    withCopy(base, {}, async ({ cloud, world }) => {
      await cloud.context.db.write((tx) => tx.run("UPDATE HostVO SET status = 'Disconnected'", []))
      const found = await audit(cloud.context.db, world, { everyoneConnected: true })
      assert.match(found.join(), /HostVO host1.* is Disconnected/)
    }))

  it('reads a database by its address alone', async (t) => {
    if (testDialect !== 'sqlite') return t.skip("the address of the test server is the testkit's own")
    await withCopy(base, {}, async ({ dataDir, world }) => {
      assert.deepEqual(await auditAt({ url: `${dataDir}/zstack.db` }, world), [])
    })
  })
})

/** Two hosts; on the first a VM that runs with a disk of its own, one that is off, one that is destroyed; a spare disk. */
async function prepare(cloud: TestCloud): Promise<Place> {
  const { hosts, ...dc } = await buildDataCenter(cloud, { hosts: 2 })
  const [host = '', otherHost = ''] = hosts
  const common = {
    imageUuid: dc.image,
    instanceOfferingUuid: dc.instanceOffering,
    l3NetworkUuids: [dc.l3],
    hostUuid: host,
  }
  const create = async (name: string, more: object = {}) =>
    String(inventoryOf(await cloud.call(createVmInstance, { name, ...common, ...more } as never)).uuid)
  const vm = await create('vm', { systemTags: ['hostname::first'] })
  const off = await create('off', { strategy: 'CreateStopped' })
  const destroyed = await create('destroyed', { hostUuid: otherHost })
  await cloud.call(destroyVmInstance, { uuid: destroyed })
  const disk = async (name: string) =>
    String(inventoryOf(await cloud.call(createDataVolume, { name, diskOfferingUuid: dc.diskOffering })).uuid)
  const attached = await disk('attached')
  await cloud.call(attachDataVolumeToVm, { volumeUuid: attached, vmInstanceUuid: vm })
  return { ...dc, host, otherHost, vm, off, destroyed, attached, spare: await disk('spare') }
}

async function plant({ sql = [], world }: Fault, cloud: TestCloud, place: Place): Promise<void> {
  const fill = (statement: string) => statement.replace(/\{(\w+)\}/g, (whole, name) => place[name] ?? whole)
  for (const statement of sql) await cloud.cloud.context.db.write((tx) => tx.run(fill(statement), []))
  world?.(simulatedHost(cloud), place, cloud)
}
