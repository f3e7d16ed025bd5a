/** What breaks in a data centre, on real hosts: nothing may leak, states must be true, errors must say where and why. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newUuid, waitFor } from '#kernel'
import { queryHost, reconnectHost } from '#plugins/host/contract/apis.ts'
import { queryImage } from '#plugins/image/contract/apis.ts'
import { queryL3Network } from '#plugins/l3-network/contract/apis.ts'
import { queryInstanceOffering } from '#plugins/offering/contract/instance-offering-apis.ts'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { migrateVm } from '#plugins/vm/contract/migration-apis.ts'
import { pauseVmInstance, resumeVmInstance, startVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { declareDiskFull } from './real-failures/disk-full.ts'
import { declareImageFailures } from './real-failures/images.ts'
import { askGuest, guestPages, guestSays, pingGuest } from './support/guest.ts'
import { countRows, inventoryOfHosts, usedCapacity, vmsIn } from './support/inventory.ts'
import { type Json, withRealCloud } from './support/real-cloud.ts'
import { reached } from './support/task-step.ts'

const hostNames = ['host1', 'host2']

describe('failures', () => {
  const getCloud = withRealCloud({ name: 'fail', hosts: 2 })
  const hostUuids: Record<string, string> = {}
  let parts: { instanceOfferingUuid: string; imageUuid: string; l3NetworkUuids: string[] }
  let web: Json
  let ip: string

  /** All that VMs take: what lies and runs on the hosts, rows, addresses, capacity. */
  const look = async () => {
    const { lab, client } = getCloud()
    const [hosts, rows, capacity] = await Promise.all([
      inventoryOfHosts(lab, hostNames),
      countRows(client),
      usedCapacity(client),
    ])
    return { hosts: vmsIn(hosts), rows, capacity }
  }
  const becomes = (wanted: object, what: string) =>
    waitFor(
      what,
      async () => {
        assert.deepEqual(await look(), wanted)
        return true
      },
      { timeoutMs: 20_000, intervalMs: 200 },
    )
  const vmNow = async (uuid: string): Promise<Json> => {
    const { inventories } = await getCloud().client.query<Json>(queryVmInstance, [`uuid=${uuid}`])
    return inventories[0] ?? assert.fail(`there is no VM ${uuid}`)
  }
  const stateBecomes = (uuid: string, state: string) =>
    waitFor(`VM ${uuid} to be ${state}`, async () => (await vmNow(uuid)).state === state, {
      timeoutMs: 20_000,
    })
  const nameOfHost = (uuid: string) => hostNames.find((name) => hostUuids[name] === uuid) ?? uuid
  const create = (name: string, hostUuid: string | undefined, jobUuid: string = newUuid()) =>
    getCloud().client.call(
      createVmInstance,
      {
        name,
        ...parts,
        ...(hostUuid === undefined ? {} : { hostUuid }),
        systemTags: [`userdata::${Buffer.from(guestPages).toString('base64')}`],
      },
      { jobUuid },
    )
  const killIn = async (host: string, ...pgrep: string[]) => {
    const { stdout } = await getCloud()
      .lab.host(host)
      .exec(['pgrep', ...pgrep])
    await getCloud()
      .lab.host(host)
      .exec(['kill', '-9', ...stdout.trim().split('\n')])
  }

  test('a VM to break things for', async () => {
    const { client, lab } = getCloud()
    const uuidBy = async (api: Parameters<typeof client.query>[0], name: string) =>
      String((await client.query(api, [`name=${name}`])).inventories[0]?.uuid)
    for (const name of hostNames) hostUuids[name] = await uuidBy(queryHost, name)
    parts = {
      instanceOfferingUuid: await uuidBy(queryInstanceOffering, 'tiny'),
      imageUuid: await uuidBy(queryImage, 'guest'),
      l3NetworkUuids: [await uuidBy(queryL3Network, 'public')],
    }
    // Afterwards both hosts have the image, and it makes no difference any more.
    const where = { ...parts, hostUuid: String(hostUuids.host2), strategy: 'CreateStopped' as const }
    const { inventory } = await client.call(createVmInstance, { name: 'first-there', ...where })
    const { uuid } = inventory as Json as { uuid: string }
    await client.call(destroyVmInstance, { uuid })
    await client.call(expungeVmInstance, { uuid })
    web = (await create('web', hostUuids.host1)).inventory as Json
    ip = web.vmNics[0].ip
    await guestSays(lab, ip, '/cgi-bin/renew', 'LEASE')
  })

  test('the agent is killed: the guest notices nothing, a reconnect brings the agent back', async (t) => {
    const { client, lab } = getCloud()
    const before = await look()
    const ping = pingGuest(lab, ip)
    await ping.answered()
    await killIn('host1', '-f', 'agents/kvm-host/main.ts')
    await assert.rejects(client.call(pauseVmInstance, { uuid: web.uuid }), /10\.98\.0\.11:7070/)
    const { inventory } = await client.call(reconnectHost, { uuid: String(hostUuids.host1) })
    assert.equal((inventory as Json).status, 'Connected')
    await ping.answered()
    const { sent, lost } = await ping.stop()
    t.diagnostic(`${lost} of ${sent} pings lost`)
    assert.ok(lost <= 2, `${lost} of ${sent} pings lost`)
    await becomes(before, 'all to be as before the agent was killed')
    assert.equal((await vmNow(web.uuid)).state, 'Running')
  })

  test('libvirtd is killed: the guest notices nothing, a reconnect brings it back', async (t) => {
    const { client, lab } = getCloud()
    const before = await look()
    const ping = pingGuest(lab, ip)
    await ping.answered()
    await killIn('host1', '-x', 'libvirtd')
    await assert.rejects(client.call(pauseVmInstance, { uuid: web.uuid }), /libvirt/)
    await client.call(reconnectHost, { uuid: String(hostUuids.host1) })
    await ping.answered()
    const { sent, lost } = await ping.stop()
    t.diagnostic(`${lost} of ${sent} pings lost`)
    assert.ok(lost <= 2, `${lost} of ${sent} pings lost`)
    await becomes(before, 'all to be as before libvirtd was killed')
    assert.equal(((await client.call(pauseVmInstance, { uuid: web.uuid })).inventory as Json).state, 'Paused')
    assert.equal(
      ((await client.call(resumeVmInstance, { uuid: web.uuid })).inventory as Json).state,
      'Running',
    )
  })

  test('a guest that switches itself off, or whose QEMU dies, is Stopped and gives all back', async (t) => {
    const { client, lab } = getCloud()
    const running = await look()
    const stopsBy = async (what: string, work: () => Promise<unknown>) => {
      const begun = performance.now()
      await work()
      await stateBecomes(web.uuid, 'Stopped')
      t.diagnostic(`${what}: Stopped after ${Math.round(performance.now() - begun)} ms`)
      assert.equal((await vmNow(web.uuid)).hostUuid, undefined)
      return look()
    }
    const off = await stopsBy('switched off from inside', () => askGuest(lab, ip, '/cgi-bin/poweroff'))
    assert.deepEqual(off.rows, running.rows)
    assert.notDeepEqual(off.capacity, running.capacity)
    assert.ok(off.hosts.host1?.every((line) => !line.includes(web.uuid)))
    await client.call(startVmInstance, { uuid: web.uuid, hostUuid: String(hostUuids.host1) })
    await becomes(running, 'all to be as before the VM was off')
    const died = await stopsBy('QEMU killed', () => killIn('host1', '-f', `qemu-system.*guest=${web.uuid}`))
    assert.deepEqual(died, off)
    await client.call(startVmInstance, { uuid: web.uuid, hostUuid: String(hostUuids.host1) })
    await becomes(running, 'all to be as before QEMU died')
  })

  test('the management dies while it creates a VM: after the next up nothing of it is left', async () => {
    const { client, killManagement, zstack } = getCloud()
    const before = await look()
    const jobUuid = newUuid()
    const job = create('lost', hostUuids.host2, jobUuid)
    // What cannot be taken back at once is tried again; that nothing is left is looked at below.
    const outcome = assert.rejects(
      job,
      /the management node stopped during vm\.create; .*(rolled back|tried again)/,
    )
    await reached(client, jobUuid, 'boot')
    await killManagement()
    await zstack(['up'])
    await outcome
    await becomes(before, 'all to be as before the VM')
  })

  test('the management dies while a VM moves: it runs on one side, and nothing is on the other', async () => {
    const { client, lab, killManagement, zstack } = getCloud()
    const before = await look()
    const jobUuid = newUuid()
    const there = { vmInstanceUuid: web.uuid, hostUuid: String(hostUuids.host2) }
    // What became of it is looked at below.
    const job = client.call(migrateVm, there, { jobUuid }).catch((error: unknown) => error)
    await reached(client, jobUuid, 'transfer')
    await killManagement()
    await zstack(['up'])
    await job
    await stateBecomes(web.uuid, 'Running')
    const host = nameOfHost((await vmNow(web.uuid)).hostUuid)
    const { hosts, rows } = await look()
    assert.deepEqual(rows, before.rows)
    const [here, other] = [hosts[host] ?? [], hosts[host === 'host1' ? 'host2' : 'host1'] ?? []]
    assert.ok(here.includes(`domain ${web.uuid}`), `the domain is not on ${host}: ${here.join('; ')}`)
    assert.deepEqual(
      other.filter(
        (line) => line.includes(web.uuid) || line.includes(web.rootVolumeUuid) || /migration/.test(line),
      ),
      [],
    )
    await guestSays(lab, ip, '/cgi-bin/renew', 'LEASE')
  })

  declareImageFailures(getCloud)
  declareDiskFull(getCloud, () => ({ ...parts, hostUuid: String(hostUuids.host1) }))

  test('a host loses its power while a VM is created there', async (t) => {
    const { client, lab } = getCloud()
    if (nameOfHost((await vmNow(web.uuid)).hostUuid) !== 'host2')
      await client.call(migrateVm, { vmInstanceUuid: web.uuid, hostUuid: String(hostUuids.host2) })
    const before = await look()
    const jobUuid = newUuid()
    const job = create('doomed', hostUuids.host2, jobUuid)
    const error = job.then(
      () => assert.fail('the VM was created on a host without power'),
      (reason: Error) => reason,
    )
    await reached(client, jobUuid, 'boot')
    const begun = performance.now()
    await lab.host('host2').crash()
    const { message } = await error
    t.diagnostic(`failed after ${Math.round(performance.now() - begun)} ms: ${message}`)
    assert.match(
      message,
      /10\.98\.0\.12:7070 for vm\.start: .*TIMEDOUT.*on the host host2.*will be tried again/,
    )
    await lab.host('host2').start()
    await client.call(reconnectHost, { uuid: String(hostUuids.host2) })
    const files = (lines: readonly string[] = []) => lines.filter((line) => line.startsWith('file'))
    const isUndone = async () => {
      const { hosts, rows } = await look()
      assert.deepEqual([files(hosts.host2), rows], [files(before.hosts.host2), before.rows])
      return true
    }
    await waitFor('what the VM left to be taken back', isUndone, { timeoutMs: 20_000 })
    await stateBecomes(web.uuid, 'Stopped')
    await client.call(startVmInstance, { uuid: web.uuid, hostUuid: String(hostUuids.host2) })
  })

  test('the VM goes, and with it all it had', async () => {
    const { client } = getCloud()
    await client.call(destroyVmInstance, { uuid: web.uuid })
    await client.call(expungeVmInstance, { uuid: web.uuid })
    const { hosts } = await look()
    assert.deepEqual(
      Object.values(hosts)
        .flat()
        .filter((line) => line.includes(web.uuid) || line.includes(web.rootVolumeUuid)),
      [],
    )
  })
})
