import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerMetadata } from './metadata-tree.ts'
import { aLease, aNetwork } from './network-fixture.ts'

const lease = {
  ...aLease,
  hostname: 'web',
  userData: '#cloud-config\n',
  metadata: {
    'ami-id': 'image',
    'public-keys/0/openssh-key': 'ssh-ed25519 AAAA',
    'placement/availability-zone': 'zone1',
  },
}
const network = { ...aNetwork, domain: 'zs.local' }
const bodyOf = (path: string) => answerMetadata(network, lease, path)?.body

test('folders are listed with and without a slash', () => {
  const listing = 'ami-id\nhostname\ninstance-id\nlocal-hostname\nlocal-ipv4\nmac\nplacement/\npublic-keys/'
  assert.equal(bodyOf('/latest/meta-data/'), listing)
  assert.equal(bodyOf('/latest/meta-data'), listing)
  assert.equal(bodyOf('/latest'), 'dynamic\nmeta-data\nuser-data')
  assert.equal(bodyOf('/')?.split('\n').at(-1), 'latest')
  assert.equal(bodyOf('/latest/meta-data/public-keys/'), '0=key-0')
  assert.equal(bodyOf('/latest/meta-data/public-keys/0/'), 'openssh-key')
  assert.equal(bodyOf('/latest/meta-data/placement/'), 'availability-zone')
})

test('values come from the NIC and from what was given', () => {
  assert.equal(bodyOf('/2009-04-04/meta-data/instance-id'), aLease.vmUuid)
  assert.equal(bodyOf('/latest/meta-data/local-hostname'), 'web.zs.local')
  assert.equal(bodyOf('/1.0/meta-data/ami-id'), 'image')
  assert.equal(bodyOf('/latest/meta-data/public-keys/0/openssh-key'), 'ssh-ed25519 AAAA')
  assert.equal(bodyOf('/latest/user-data'), '#cloud-config\n')
  const document = JSON.parse(bodyOf('/latest/dynamic/instance-identity/document') ?? '')
  assert.equal(document.privateIp, '10.0.0.11')
})

test('what is not there is not found', () => {
  const missing = [
    '/latest/meta-data/instance-id/',
    '/latest/meta-data/instance-type',
    '/latest/meta-data/public',
    '/latest/user-data/',
    '/latest/user-data/x',
    '/nonsense/meta-data/',
    '/latest/meta-data/__proto__',
    '/latest/meta-data/../user-data',
  ]
  for (const path of missing) assert.equal(bodyOf(path), undefined, path)
  assert.equal(answerMetadata(network, aLease, '/latest/user-data'), undefined)
  assert.equal(answerMetadata(network, aLease, '/latest/')?.body, 'dynamic\nmeta-data')
})
