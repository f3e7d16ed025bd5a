import type { FlatNetwork, Lease } from './flat-network-spec.ts'

/** A network and a NIC that pass every check, for tests to vary. */
export const aNetwork: FlatNetwork = {
  l3NetworkUuid: 'a1b2c3d4e5f64a7b8c9d0e1f2a3b4c5d',
  bridge: 'br_eth0',
  physicalInterface: 'eth0',
  dhcpServerIp: '10.0.0.2',
  netmask: '255.255.255.0',
  gateway: '10.0.0.1',
  dns: ['8.8.8.8'],
}

export const aLease: Lease = {
  vmUuid: '0123456789abcdef0123456789abcdef',
  mac: 'fa:00:00:00:00:01',
  ip: '10.0.0.11',
  isDefault: true,
}
