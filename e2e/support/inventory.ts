import type { Client } from '#client'
import type { Api } from '#contract'
import type { Lab } from '#lab/lab.ts'
import { queryBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { queryCluster } from '#plugins/cluster/contract/apis.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { queryImage } from '#plugins/image/contract/apis.ts'
import { queryL2Network } from '#plugins/l2-network/contract/apis.ts'
import { queryL3Network } from '#plugins/l3-network/contract/apis.ts'
import { queryIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import { queryLocalStorageResourceRef } from '#plugins/local-storage/contract/apis.ts'
import { queryNetworkServiceL3NetworkRef } from '#plugins/network-service/contract/apis.ts'
import { queryDiskOffering } from '#plugins/offering/contract/disk-offering-apis.ts'
import { queryInstanceOffering } from '#plugins/offering/contract/instance-offering-apis.ts'
import { queryPrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import { querySystemTag, queryUserTag } from '#plugins/tag/contract/apis.ts'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { queryVmNic } from '#plugins/vm/contract/nic-apis.ts'
import { queryVolume } from '#plugins/volume/contract/apis.ts'
import { queryZone } from '#plugins/zone/contract/apis.ts'

/** What a cloud made on hosts, one line for each thing, sorted: files, processes, interfaces, namespaces, rules, domains. */
export type Inventory = Readonly<Record<string, readonly string[]>>

const storageRoots = ['/zstack_ps', '/zstack_bs', '/zstack_small']

const script = `
find ${storageRoots.join(' ')} -type f ! -name .zstack-storage.json 2>/dev/null | sed 's|^|file |'
for p in /proc/[0-9]*; do
  case $(cat $p/comm 2>/dev/null) in
    qemu-system*) echo "process qemu $(tr '\\0' ' ' < $p/cmdline | sed 's|.*guest=\\([^,]*\\).*|\\1|')" ;;
    dnsmasq) echo "process $(tr '\\0' ' ' < $p/cmdline | sed 's|.*--conf-file=\\([^ ]*\\).*|dnsmasq \\1|')" ;;
    node*|MainThread) echo "process agent $(tr '\\0' ' ' < $p/cmdline | sed 's|.*/agents/\\([a-z-]*\\)/.*|\\1|')" ;;
  esac
done
ip -br link | sed 's|[@ ].*||; s|^|interface |'
ls /run/netns 2>/dev/null | sed 's|^|namespace |'
nft list tables | sed 's|^|rules |'
virsh -q list --all --name | grep . | sed 's|^|domain |'
find /run/zstack/migration -mindepth 1 2>/dev/null | sed 's|^|migration |'
exit 0`

/** Looks at the hosts themselves, not at what the management knows. Hosts must be up. */
export async function inventoryOfHosts(lab: Lab, names: readonly string[]): Promise<Inventory> {
  const entries = names.map(async (name) => {
    const { stdout } = await lab.host(name).exec(['sh', '-c', script])
    return [name, stdout.split('\n').filter(Boolean).sort()] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

const tables: Readonly<Record<string, Api>> = {
  zones: queryZone,
  clusters: queryCluster,
  hosts: queryHost,
  primaryStorages: queryPrimaryStorage,
  backupStorages: queryBackupStorage,
  images: queryImage,
  volumes: queryVolume,
  placements: queryLocalStorageResourceRef,
  l2Networks: queryL2Network,
  l3Networks: queryL3Network,
  ipRanges: queryIpRange,
  networkServices: queryNetworkServiceL3NetworkRef,
  instanceOfferings: queryInstanceOffering,
  diskOfferings: queryDiskOffering,
  vms: queryVmInstance,
  nics: queryVmNic,
  systemTags: querySystemTag,
  userTags: queryUserTag,
}

/** How many resources of each kind there are. */
export async function countRows(client: Client): Promise<Record<string, number>> {
  const counts = Object.entries(tables).map(async ([name, api]) => {
    return [name, (await client.query(api, [], { count: true })).total ?? 0] as const
  })
  return Object.fromEntries(await Promise.all(counts))
}

/** Capacity taken on each host and storage, by name. */
export async function usedCapacity(client: Client): Promise<Record<string, unknown>> {
  const [hosts, storages] = await Promise.all([client.query(queryHost), client.query(queryPrimaryStorage)])
  const host = (h: Record<string, unknown>) => [h.name, h.availableCpuCapacity, h.availableMemoryCapacity]
  return {
    hosts: hosts.inventories.map(host),
    storages: storages.inventories.map((s) => [s.name, s.availableCapacity]),
  }
}

/** The part of an inventory that VMs take: without what hosts keep for later ones. */
export function vmsIn(inventory: Inventory): Inventory {
  const kept = /\/imagecache\//
  const entries = Object.entries(inventory)
  return Object.fromEntries(entries.map(([host, lines]) => [host, lines.filter((line) => !kept.test(line))]))
}
