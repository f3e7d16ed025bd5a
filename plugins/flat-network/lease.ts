import type { CallInput } from '#agent-rpc'
import type { applyFlatNetwork } from '#agents/kvm-host/contract/network.ts'
import type { ServedNic } from '#plugins/network-service/contract/extensions.ts'

type Lease = CallInput<typeof applyFlatNetwork>['leases'][number]

/** What DHCP and the metadata service tell one NIC. Metadata and user data only where the network has the service. */
export function leaseOf(nic: ServedNic): Lease {
  const hostname = hostnameOf(nic)
  const lease = {
    vmUuid: nic.vmUuid,
    mac: nic.mac,
    ip: nic.ip,
    isDefault: nic.isDefault,
    ...(nic.tap === undefined ? {} : { tap: nic.tap }),
    ...(hostname === undefined ? {} : { hostname }),
  }
  if (!nic.services.includes('Userdata')) return lease
  return {
    ...lease,
    metadata: {
      'instance-id': nic.vmUuid,
      ...(hostname === undefined ? {} : { 'local-hostname': hostname, hostname }),
      'local-ipv4': nic.ip,
      mac: nic.mac,
      ...nic.metadata,
    },
    ...(nic.userData === undefined ? {} : { userData: nic.userData }),
  }
}

/** A VM is known by one name, in its default network; without one of its own, by its address. */
function hostnameOf(nic: ServedNic): string | undefined {
  if (!nic.isDefault) return undefined
  return nic.hostname ?? nic.ip.replaceAll('.', '-')
}
