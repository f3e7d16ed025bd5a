import { defineAgentCall } from '#agent-rpc'
import { bool, int, list, map, optional, struct, text } from '#contract'

const bridge = text('Name of the bridge, `br_eth1`.', { max: 15, pattern: /^[\w.-]+$/ })

export const createBridge = defineAgentCall({
  name: 'network.create-bridge',
  summary:
    'Makes a bridge on a physical interface, keeping the addresses and routes of an interface that has some. Repeats are fine. ' +
    'Refuses an interface that does not exist.',
  input: {
    bridge,
    physicalInterface: text('Name of the interface.', { max: 15, pattern: /^[\w.-]+$/ }),
    l2NetworkUuid: text('Uuid of the L2 network.'),
  },
  output: { created: bool('False when it was there.') },
})
export const deleteBridge = defineAgentCall({
  name: 'network.delete-bridge',
  summary:
    'Removes a bridge that carries no VM any more and gives the interface its addresses back. What is not there is fine.',
  input: {
    bridge,
    physicalInterface: text('Name of the interface.', { max: 15, pattern: /^[\w.-]+$/ }),
  },
  output: { deleted: bool('False when it was not there.') },
})

/** One address handed out on this host, with the metadata of its VM. */
const lease = struct('DhcpLease', 'A VM NIC on this host.', {
  vmUuid: text('Uuid of the VM.'),
  mac: text('MAC address.'),
  ip: text('IPv4 address.'),
  hostname: optional(text('Name told to the guest.', { pattern: /^[A-Za-z0-9-]{1,63}$/ })),
  tap: optional(
    text('Name of the tap on the bridge; with it, metadata is answered only through this tap.', {
      max: 15,
      pattern: /^[\w.-]+$/,
    }),
  ),
  isDefault: bool('True when this NIC gives the VM its default route and names.'),
  metadata: optional(
    map(
      'EC2 metadata: path below /latest/meta-data/ to text, `instance-id`, `public-keys/0/openssh-key`.',
      text('Value.', { max: 65536 }),
    ),
  ),
  userData: optional(text('Text of /latest/user-data.', { max: 1_048_576, noTrim: true })),
})

const network = {
  l3NetworkUuid: text('Uuid of the L3 network.', { pattern: /^[0-9a-f]{32}$/ }),
  bridge,
  physicalInterface: text('Uplink of the bridge; DHCP never crosses it.', { max: 15, pattern: /^[\w.-]+$/ }),
  dhcpServerIp: text('Address of the DHCP and metadata server, the same on each host.'),
  netmask: text('Netmask of the network.'),
  gateway: optional(text('Default gateway.')),
  dns: list(
    'Name servers told to guests, in order; none, none told. `dhcpServerIp` itself knows the names of the VMs on this host ' +
      'and refuses all others.',
    text('Address.'),
  ),
  domain: optional(text('DNS domain.', { max: 253, pattern: /^[A-Za-z0-9][A-Za-z0-9.-]*$/ })),
  mtu: optional(int('MTU told to guests.', [68, 65_535])),
} as const

export const applyFlatNetwork = defineAgentCall({
  name: 'flat.apply',
  summary:
    'Makes DHCP, DNS names, metadata and user data of one L3 network on this host exactly as described: one namespace with ' +
    'dnsmasq and the metadata service. `leases` is the whole set for this host; an empty one leaves the namespace, ready.',
  input: { ...network, leases: list('All NICs of this network whose VM runs here.', lease) },
  output: { changed: bool('False when nothing had to be done.') },
})
export const addFlatLeases = defineAgentCall({
  name: 'flat.add-leases',
  summary:
    'Like flat.apply, but adds or replaces only the leases given and creates the namespace when absent.',
  input: { ...network, leases: list('NICs to add.', lease) },
  output: { changed: bool('False when nothing had to be done.') },
})
export const removeFlatLeases = defineAgentCall({
  name: 'flat.remove-leases',
  summary: 'Removes leases by MAC; the namespace goes with the last one. What is not there is fine.',
  input: { l3NetworkUuid: network.l3NetworkUuid, macs: list('MAC addresses.', text('MAC.')) },
  output: { changed: bool('False when nothing had to be done.') },
})
export const deleteFlatNetwork = defineAgentCall({
  name: 'flat.delete',
  summary: 'Removes the namespace of an L3 network with all in it. What is not there is fine.',
  input: { l3NetworkUuid: network.l3NetworkUuid },
  output: { deleted: bool('False when it was not there.') },
})
