import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { changeDiskOfferingState } from '#plugins/offering/contract/disk-offering-apis.ts'
import { queryPrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import { assertRefused, inventoryOf, simulatedHost, startCloud, type TestCloud, waitFor } from '#testkit'
import {
  changeVolumeState,
  createDataVolume,
  getVolumeFormat,
  queryVolume,
  updateVolume,
} from '../contract/apis.ts'
import { deleteDataVolume, expungeDataVolume, recoverDataVolume } from '../contract/deletion-apis.ts'

const GiB = 2 ** 30
const configure = (cloud: TestCloud, name: string, value: string) =>
  cloud.call(updateGlobalConfig, { category: 'volume', name, value })
const statuses = async (cloud: TestCloud) => (await cloud.query(queryVolume)).map((v) => v.status)

test('a data volume has no file until it is used, unless its place is named', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  const empty = inventoryOf(
    await cloud.call(createDataVolume, { name: 'a', description: 'd', diskOfferingUuid: dc.diskOffering }),
  )
  assert.deepEqual(
    [empty.type, empty.status, empty.state, empty.size, empty.isShareable, empty.description],
    ['Data', 'NotInstantiated', 'Enabled', GiB, false, 'd'],
  )
  assert.deepEqual([empty.installPath, empty.primaryStorageUuid], [undefined, undefined])
  const place = {
    primaryStorageUuid: dc.primaryStorage,
    systemTags: [`localStorage::hostUuid::${dc.hosts[1]}`],
  }
  const made = inventoryOf(await cloud.call(createDataVolume, { name: 'b', diskSize: 2 * GiB, ...place }))
  assert.deepEqual([made.status, made.format, made.size], ['Ready', 'qcow2', 2 * GiB])
  assert.match(made.installPath, new RegExp(`^/zstack_ps/dataVolumes/acct-[0-9a-f]{32}/vol-${made.uuid}/`))
  assert.ok(simulatedHost(cloud, 1).state.files.get(made.installPath))
  assert.equal(simulatedHost(cloud, 0).state.files.get(made.installPath), undefined)
  const any = inventoryOf(
    await cloud.call(createDataVolume, { name: 'c', diskSize: GiB, primaryStorageUuid: dc.primaryStorage }),
  )
  assert.equal(any.status, 'Ready')
})

test('wrong creations are refused, the field named, and leave nothing', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const good = { name: 'a', diskSize: GiB }
  const place = { primaryStorageUuid: dc.primaryStorage }
  const hostTag = (uuid: string) => ({ ...place, systemTags: [`localStorage::hostUuid::${uuid}`] })
  const refuse = (change: object, field: string, says: RegExp, code = 'SYS.1007') =>
    assertRefused(cloud, createDataVolume, { ...good, ...change }, { code, field, says })
  await refuse({ name: undefined }, 'name', /mandatory/)
  await refuse({ diskSize: undefined }, 'diskSize', /diskOfferingUuid, or diskSize/)
  await refuse({ diskSize: 0 }, 'diskSize', /0/)
  await refuse({ diskSize: '1G' }, 'diskSize', /whole number/)
  await refuse({ diskOfferingUuid: newUuid() }, 'diskOfferingUuid', /not exist/, 'SYS.1003')
  await refuse({ primaryStorageUuid: newUuid() }, 'primaryStorageUuid', /not exist/, 'SYS.1003')
  await refuse({ systemTags: ['nonsense'] }, 'systemTags', /no system tag of VolumeVO/)
  await refuse(hostTag(newUuid()), 'systemTags', /no host/)
  await cloud.call(changeDiskOfferingState, { uuid: dc.diskOffering, stateEvent: 'disable' })
  await refuse({ diskOfferingUuid: dc.diskOffering }, 'diskOfferingUuid', /disk is Disabled/)
  const tooBig = { ...good, ...hostTag(String(dc.hosts[0])), diskSize: 5000 * GiB }
  await assertRefused(cloud, createDataVolume, tooBig, {
    code: 'PS.1000',
    says: /of local space free/,
  })
  simulatedHost(cloud).knobs.failNext('createEmptyVolume', 'disk broken')
  await assertRefused(
    cloud,
    createDataVolume,
    { ...good, ...place },
    { code: 'SYS.1006', says: /disk broken/ },
  )
})

test('name, description and state change', async (t) => {
  const { cloud } = await startCloud(t)
  const { uuid } = inventoryOf(await cloud.call(createDataVolume, { name: 'a', diskSize: GiB }))
  const named = inventoryOf(await cloud.call(updateVolume, { uuid, name: 'b', description: 'x' }))
  assert.deepEqual([named.name, named.description], ['b', 'x'])
  assert.equal(
    inventoryOf(await cloud.call(changeVolumeState, { uuid, stateEvent: 'disable' })).state,
    'Disabled',
  )
  assert.equal(
    inventoryOf(await cloud.call(changeVolumeState, { uuid, stateEvent: 'enable' })).state,
    'Enabled',
  )
  const wrong = { code: 'SYS.1007', field: 'stateEvent', says: /enable, disable/ }
  await assertRefused(cloud, changeVolumeState, { uuid, stateEvent: 'off' }, wrong)
  const { formats = [] } = await cloud.call(getVolumeFormat, {})
  assert.deepEqual(
    (formats as { format: string }[]).map((f) => f.format),
    ['qcow2'],
  )
})

test('a deleted volume can be recovered as it was until it is expunged; then file and space are given back', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const free = async () => (await cloud.query(queryPrimaryStorage))[0]?.availableCapacity
  const before = await free()
  const { uuid, installPath } = inventoryOf(
    await cloud.call(createDataVolume, { name: 'a', diskSize: GiB, primaryStorageUuid: dc.primaryStorage }),
  )
  assert.equal(Number(before) - Number(await free()), GiB)
  const early = { code: 'VOLUME.1002', says: /is Ready, not Deleted; delete it first/ }
  await assertRefused(cloud, expungeDataVolume, { uuid }, early)
  await assertRefused(cloud, recoverDataVolume, { uuid }, early)
  await cloud.call(deleteDataVolume, { uuid })
  await cloud.call(deleteDataVolume, { uuid })
  assert.deepEqual(await statuses(cloud), ['Deleted'])
  assert.equal(inventoryOf(await cloud.call(recoverDataVolume, { uuid })).status, 'Ready')
  await cloud.call(deleteDataVolume, { uuid })
  await cloud.call(expungeDataVolume, { uuid })
  assert.deepEqual([await statuses(cloud), await free()], [[], before])
  assert.equal(simulatedHost(cloud).state.files.get(installPath), undefined)
  assert.deepEqual(await cloud.call(deleteDataVolume, { uuid }), {})
  const plain = inventoryOf(await cloud.call(createDataVolume, { name: 'b', diskSize: GiB }))
  await cloud.call(deleteDataVolume, { uuid: plain.uuid })
  assert.equal(
    inventoryOf(await cloud.call(recoverDataVolume, { uuid: plain.uuid })).status,
    'NotInstantiated',
  )
})

test('the policies of deletion: Direct at once, Delay after the period', async (t) => {
  const { cloud, dc } = await startCloud(t)
  await configure(cloud, 'expungeInterval', '1')
  await configure(cloud, 'expungePeriod', '1')
  await configure(cloud, 'deletionPolicy', 'Direct')
  await cloud.restart()
  const create = async () =>
    inventoryOf(
      await cloud.call(createDataVolume, { name: 'a', diskSize: GiB, primaryStorageUuid: dc.primaryStorage }),
    )
  const direct = await create()
  await cloud.call(deleteDataVolume, { uuid: direct.uuid })
  assert.deepEqual(await statuses(cloud), [])
  await configure(cloud, 'deletionPolicy', 'Delay')
  const delayed = await create()
  await cloud.call(deleteDataVolume, { uuid: delayed.uuid })
  assert.deepEqual(await statuses(cloud), ['Deleted'])
  await waitFor('the volume to be expunged', async () => (await statuses(cloud)).length === 0)
  assert.equal(simulatedHost(cloud).state.files.get(delayed.installPath), undefined)
})
