import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { assertRefused, inventoryOf, startCloud } from '#testkit'
import { addKVMHost, updateKVMHost } from '../contract/apis.ts'

test('a KVM host that cannot be added leaves nothing, and the reason names where and why', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const cluster = { name: 'kvm', zoneUuid: dc.zone, hypervisorType: 'KVM' as const }
  const clusterUuid = inventoryOf(await cloud.call(createCluster, cluster)).uuid
  const good = { name: 'k', managementIp: '127.0.0.1', clusterUuid, username: 'root', password: 's3cret' }
  const refuse = (change: object, field: string, says: RegExp, code = 'SYS.1007') =>
    assertRefused(cloud, addKVMHost, { ...good, ...change }, { code, field, says })
  await refuse({ clusterUuid: dc.cluster }, 'clusterUuid', /for hosts of the hypervisor Simulator, not KVM/)
  await refuse({ username: undefined }, 'username', /mandatory/)
  await refuse({ password: undefined }, 'password', /mandatory/)
  await refuse({ sshPort: 70_000 }, 'sshPort', /between 1 and 65535/)
  await refuse({ managementIp: '' }, 'managementIp', /empty/)
  await refuse({ managementIp: '10.1.0.1' }, 'managementIp', /host1.* has the address 10\.1\.0\.1 already/)
  const unreachable = await assertRefused(
    cloud,
    addKVMHost,
    { ...good, sshPort: 1 },
    { code: 'HOST.1000', says: /the host k at 127\.0\.0\.1 could not be added: .*nothing of it was kept/ },
  )
  assert.match(unreachable.details, /refused|connect/i)
  assert.equal(unreachable.details.includes('s3cret'), false)
  assert.equal((await cloud.query(queryHost)).length, 1)
})

test('what is no KVM host cannot be changed as one', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const uuid = String(dc.hosts[0])
  const kind = {
    code: 'SYS.1007',
    field: 'uuid',
    says: /host1.* is a host of the hypervisor Simulator, not KVM/,
  }
  await assertRefused(cloud, updateKVMHost, { uuid, username: 'root' }, kind)
  await assertRefused(cloud, updateKVMHost, { uuid, name: 'x' }, kind)
})
