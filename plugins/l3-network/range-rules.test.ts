import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress } from './ipv4.ts'
import { rangeOfAddresses, rangesOfCidr } from './range-rules.ts'

test('ranges that cannot be are refused, each with its field', () => {
  const table: readonly [string, string, string, string | undefined, RegExp][] = [
    ['10.0.0', '10.0.0.9', '255.255.255.0', undefined, /field\[startIp\].*not an IPv4 address/],
    ['10.0.0.1', '10.0.0.256', '255.255.255.0', undefined, /field\[endIp\].*not an IPv4 address/],
    ['0x0a.0.0.1', '10.0.0.9', '255.255.255.0', undefined, /field\[startIp\]/],
    ['fe80::1', 'fe80::2', '255.255.255.0', undefined, /field\[startIp\]/],
    ['10.0.0.9', '10.0.0.1', '255.255.255.0', undefined, /field\[startIp\].*comes after/],
    ['10.0.0.1', '10.0.0.9', '255.0.255.0', undefined, /field\[netmask\].*holes/],
    ['10.0.0.1', '10.0.0.9', '24', undefined, /field\[netmask\].*not an IPv4 address/],
    ['10.0.0.1', '10.0.0.1', '255.255.255.255', undefined, /field\[netmask\].*\/32/],
    ['10.0.0.1', '10.0.0.9', '0.0.0.0', undefined, /field\[netmask\].*\/0/],
    ['10.0.0.1', '10.0.1.9', '255.255.255.0', undefined, /field\[endIp\].*not in 10\.0\.0\.0\/24/],
    ['10.0.0.0', '10.0.0.9', '255.255.255.0', undefined, /field\[startIp\].*network itself/],
    ['10.0.0.1', '10.0.0.255', '255.255.255.0', undefined, /field\[endIp\].*broadcast/],
    ['10.0.0.1', '10.0.0.9', '255.255.255.0', '10.0.1.1', /field\[gateway\].*not in 10\.0\.0\.0\/24/],
    ['10.0.0.1', '10.0.0.9', '255.255.255.0', '10.0.0.255', /field\[gateway\].*broadcast/],
    [
      '10.0.0.1',
      '10.0.0.9',
      '255.255.255.0',
      '10.0.0.5',
      /add 10\.0\.0\.1-10\.0\.0\.4 and 10\.0\.0\.6-10\.0\.0\.9/,
    ],
    ['127.0.0.1', '127.0.0.9', '255.255.255.0', undefined, /reserved/],
    ['169.254.1.1', '169.254.1.9', '255.255.255.0', undefined, /reserved/],
    ['224.0.0.1', '224.0.0.9', '255.255.255.0', undefined, /reserved/],
  ]
  for (const [startIp, endIp, netmask, gateway, message] of table) {
    assert.throws(() => rangeOfAddresses({ startIp, endIp, netmask, gateway }), { code: 'SYS.1007', message })
  }
})

test('the whole of a network but its two ends is a range', () => {
  const range = rangeOfAddresses({ startIp: '10.0.0.1', endIp: '10.0.0.254', netmask: '255.255.255.0' })
  assert.equal(range.end - range.start, 253)
})

test('a CIDR gives every address but network, broadcast and gateway', () => {
  const spans = (cidr: string, gateway?: string) =>
    rangesOfCidr(cidr, gateway).map((r) => `${formatAddress(r.start)}-${formatAddress(r.end)} ${r.gateway}`)
  assert.deepEqual(spans('10.0.0.0/24'), ['10.0.0.2-10.0.0.254 10.0.0.1'])
  assert.deepEqual(spans('10.0.0.0/24', '10.0.0.254'), ['10.0.0.1-10.0.0.253 10.0.0.254'])
  assert.deepEqual(spans('10.0.0.0/29', '10.0.0.3'), [
    '10.0.0.1-10.0.0.2 10.0.0.3',
    '10.0.0.4-10.0.0.6 10.0.0.3',
  ])
  for (const cidr of ['10.0.0.1/24', '10.0.0.0/33', '10.0.0.0', '10.0.0.0/31', 'x/24', '300.0.0.0/24']) {
    assert.throws(() => rangesOfCidr(cidr, undefined), { code: 'SYS.1007' }, cidr)
  }
})
