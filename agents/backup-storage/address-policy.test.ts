import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOf } from './address-policy.ts'

test('public addresses may be fetched from', () => {
  for (const address of [
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '2606:4700:4700::1111',
    '64:ff9b::101:101',
  ]) {
    assert.equal(refusalOf(address, false), undefined, address)
  }
})

test('loopback, private and unique-local addresses need the permission', () => {
  const addresses = [
    ...[
      '127.0.0.1',
      '127.255.255.254',
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
    ],
    ...['::1', 'fc00::1', 'fdff:ffff::1', 'fec0::1', '198.18.0.1', '64:ff9b:1::a00:1'],
    // The same in IPv6 dress: mapped, compatible, translated, 6to4.
    ...[
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::FFFF:10.0.0.1',
      '0:0:0:0:0:ffff:c0a8:0101',
      '::7f00:1',
      '::10.0.0.1',
    ],
    ...['::ffff:0:127.0.0.1', '64:ff9b::127.0.0.1', '64:ff9b::a00:1', '2002:7f00:1::', '2002:c0a8:101::1'],
  ]
  for (const address of addresses) {
    assert.match(refusalOf(address, false) ?? '', /it is a/, address)
    assert.equal(refusalOf(address, true), undefined, address)
  }
})

test('link-local, unspecified, multicast and reserved addresses are never reached', () => {
  const addresses = [
    ...[
      '169.254.169.254',
      '169.254.0.1',
      '0.0.0.0',
      '0.1.2.3',
      '224.0.0.1',
      '239.255.255.250',
      '255.255.255.255',
    ],
    ...[
      '240.0.0.1',
      '192.0.0.8',
      '192.0.2.1',
      '::',
      'fe80::1',
      'febf::1',
      'ff02::1',
      '2001::1',
      '2001:db8::1',
    ],
    ...[
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '::a9fe:a9fe',
      '64:ff9b::a9fe:a9fe',
      '2002:a9fe:a9fe::',
    ],
    ...['::ffff:0.0.0.0', 'fe80::1%eth0', 'fec0::1%1', 'localhost', '', '127.1'],
  ]
  for (const address of addresses) assert.notEqual(refusalOf(address, true), undefined, address)
})
