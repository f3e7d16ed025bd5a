/** The auditor of real hosts finds everything that can be wrong there: each test breaks one thing behind the cloud's back. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openSqlite } from '#db'
import { queryImage } from '#plugins/image/contract/apis.ts'
import { queryL3Network } from '#plugins/l3-network/contract/apis.ts'
import { queryInstanceOffering } from '#plugins/offering/contract/instance-offering-apis.ts'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { auditRealHosts } from './chaos/audit-real-hosts.ts'
import { signalAgents, superviseAgents } from './chaos/real-hosts.ts'
import { type Json, withRealCloud } from './support/real-cloud.ts'

const strayDomain = `<domain type="qemu"><name>stray</name><memory unit="MiB">32</memory>
<os><type arch="x86_64">hvm</type></os></domain>`

describe('the auditor of real hosts', () => {
  const getCloud = withRealCloud({ name: 'audit', hosts: 1 })
  let management: number
  /** Names of what the cloud has, for the scripts below. */
  let env = ''

  const look = async () => {
    const { database, lab } = getCloud()
    const db = openSqlite(database)
    try {
      return await auditRealHosts(db, lab)
    } finally {
      await db.close()
    }
  }
  const onHost = (script: string) =>
    getCloud()
      .lab.host('host1')
      .exec(['sh', '-ec', `${env}${script}`])

  before(async () => {
    const { client, managementPid } = getCloud()
    const uuidBy = async (api: Parameters<typeof client.query>[0], name: string) =>
      String((await client.query(api, [`name=${name}`])).inventories[0]?.uuid)
    const off = await client.call(createVmInstance, {
      name: 'off',
      instanceOfferingUuid: await uuidBy(queryInstanceOffering, 'tiny'),
      imageUuid: await uuidBy(queryImage, 'guest'),
      l3NetworkUuids: [await uuidBy(queryL3Network, 'public')],
      strategy: 'CreateStopped',
    })
    const [vm] = (await client.query(queryVmInstance, ['name=first-vm'])).inventories as Json[]
    const [nic] = (vm?.vmNics ?? []) as Json[]
    const volume = String((off.inventory as Json).rootVolumeUuid)
    const { stdout } = await onHost(`find /zstack_ps -name ${volume}.qcow2
      find /zstack_ps/images -name '*.qcow2'; nft list tables bridge | sed 's/table bridge //'`)
    const [disk, image, table] = stdout.split('\n')
    const l3 = String(nic?.l3NetworkUuid)
    env = `vm=${vm?.uuid} tap=${nic?.internalName} mac=${nic?.mac} ip=${nic?.ip} l3=${l3}
      disk=${disk} image=${image} table=${table} conf=/var/lib/zstack/flat/${l3}/dnsmasq.conf\n`
    // What notices nothing mends nothing either.
    management = await managementPid()
    process.kill(management, 'SIGSTOP')
  })
  after(() => void process.kill(management, 'SIGCONT'))

  test('finds nothing where nothing is wrong', async () => {
    assert.deepEqual(await look(), [])
  })

  const faults: [name: string, breakIt: string, sentence: RegExp, mend: string][] = [
    [
      'a domain of nobody',
      `echo '${strayDomain}' > /tmp/stray.xml; virsh -q create /tmp/stray.xml --paused`,
      /^domains on host host1: nobody knows of stray/m,
      'virsh -q destroy stray',
    ],
    [
      'a guest that does not run',
      'virsh -q suspend $vm',
      /^domains on host host1: missing \w+ Running/m,
      'virsh -q resume $vm',
    ],
    [
      'a disk of nobody in a guest',
      'truncate -s 1M /tmp/stray.img; virsh -q attach-disk $vm /tmp/stray.img vdq --live',
      /^disks of domains .*nobody knows of \w+ \/tmp\/stray/m,
      'virsh -q detach-disk $vm vdq --live; while virsh dumpxml $vm | grep -q stray; do sleep 0.05; done',
    ],
    [
      'a file of nobody',
      'touch /zstack_ps/primary/stray.qcow2',
      /^files .*nobody knows of \S+stray\.qcow2/m,
      'rm /zstack_ps/primary/stray.qcow2',
    ],
    ['a disk that is lost', 'mv $disk /tmp/kept', /^files .*missing \/zstack_ps/m, 'mv /tmp/kept $disk'],
    [
      'a disk of another size',
      'qemu-img resize -q $disk +1M',
      /^sizes of volumes .*missing/m,
      'qemu-img resize -q --shrink $disk -1M',
    ],
    ['an image that is lost', 'mv $image /tmp/kept', /^files .*missing \S+images/m, 'mv /tmp/kept $image'],
    [
      'a cached image that disks are built on',
      'mkdir /tmp/cache; mv /zstack_ps/primary/imagecache/template /tmp/cache',
      /^images below disks .*is not there/m,
      'mv /tmp/cache/template /zstack_ps/primary/imagecache',
    ],
    [
      'a tap of nobody',
      'ip tuntap add stray0 mode tap; ip link set stray0 up',
      /^interfaces on host host1: nobody knows of stray0$/m,
      'ip link del stray0',
    ],
    [
      'a tap in no bridge',
      'ip link set $tap nomaster',
      /^interfaces .*missing vnic\S+ in br_eth1$/m,
      'ip link set $tap master br_eth1',
    ],
    [
      'an interface that is down',
      'ip link set $tap down',
      /^interfaces that are down .*vnic/m,
      'ip link set $tap up',
    ],
    ['a namespace of nobody', 'ip netns add zs-stray', /^namespaces .*zs-stray/m, 'ip netns del zs-stray'],
    [
      'a DHCP server that is gone',
      'kill -9 $(pgrep -x dnsmasq)',
      /^processes .*missing dnsmasq(.|\n)*^DHCP reservations .*missing/m,
      'nsenter --net=/run/netns/zs-$(echo $l3 | cut -c1-11) dnsmasq --conf-file=$conf',
    ],
    [
      'an address that DHCP gives to nobody known',
      'echo dhcp-host=fa:00:00:00:00:01,set:stray,10.99.0.77 >> $conf',
      /^DHCP reservations .*nobody knows of \w+ fa:00:00:00:00:01 10\.99\.0\.77/m,
      'sed -i /stray/d $conf',
    ],
    [
      'a lease that is not in the rules',
      'nft delete element bridge $table leases "{ $mac . $ip }"',
      /^leases in rules .*missing/m,
      'nft add element bridge $table leases "{ $mac . $ip }"',
    ],
    [
      'rules of nobody',
      'nft add table bridge zs_stray',
      /^tables .*zs_stray/m,
      'nft delete table bridge zs_stray',
    ],
    [
      'what a migration left',
      'mkdir -p /run/zstack/migration/stray',
      /^state of networks and migrations .*stray/m,
      'rmdir /run/zstack/migration/stray',
    ],
  ]
  for (const [name, breakIt, sentence, mend] of faults)
    test(name, async () => {
      await onHost(breakIt)
      const found = await look()
      await onHost(mend)
      assert.match(found.join('\n'), sentence)
      assert.deepEqual(await look(), [])
    })

  test('an agent that does not run', async () => {
    const host = getCloud().lab.host('host1')
    await signalAgents(host, 'kvm-host', 'KILL')
    const found = await look()
    await superviseAgents(host)
    assert.match(found.join('\n'), /^processes .*missing agent kvm-host$/m)
  })

  test('a guest that died', async () => {
    await onHost('kill -9 $(pgrep -f "guest=$vm"); while pgrep -f "guest=$vm"; do sleep 0.05; done')
    const found = (await look()).join('\n')
    for (const sentence of [
      /^domains .*missing/m,
      /^processes .*missing guest/m,
      /^interfaces .*missing vnic/m,
    ])
      assert.match(found, sentence)
  })
})
