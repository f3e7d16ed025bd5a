import assert from 'node:assert/strict'
import { test } from 'node:test'
import { movableAddresses, movableRoutes, planMove } from './bridge-plan.ts'

test('addresses arrive before they leave, gateways come after what reaches them', () => {
  const address = {
    family: 'inet',
    local: '10.0.0.5',
    prefixlen: 24,
    broadcast: '10.0.0.255',
    scope: 'global',
    valid_life_time: 3600,
    preferred_life_time: 1800,
  }
  const routes = [
    { family: 4, dst: 'default', gateway: '10.0.0.1', protocol: 'dhcp', metric: 100, flags: [] },
    { family: 4, dst: '10.9.0.0/16', scope: 'link', metrics: [{ mtu: 1400 }] },
    { family: 6, dst: 'default', gateway: 'fe80::1', protocol: 'static', metric: 1024, pref: 'medium' },
  ] as const
  assert.deepEqual(planMove([address], routes, { from: 'eth0', to: 'br_eth0' }), [
    'addr replace 10.0.0.5/24 brd 10.0.0.255 valid_lft 3600 preferred_lft 1800 dev br_eth0',
    'route replace 10.9.0.0/16 scope link mtu 1400 dev br_eth0',
    'route replace 0.0.0.0/0 via 10.0.0.1 proto dhcp metric 100 dev br_eth0',
    'route replace ::/0 via fe80::1 proto static metric 1024 pref medium dev br_eth0',
    'addr del 10.0.0.5/24 dev eth0',
  ])
})

test('what comes by itself stays', () => {
  const linkLocal = { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' }
  const announced = { family: 'inet6', local: '2001:db8::5', prefixlen: 64, scope: 'global', dynamic: true }
  const fixed = { family: 'inet6', local: '2001:db8::6', prefixlen: 64, scope: 'global' }
  assert.deepEqual(movableAddresses([linkLocal, announced, fixed]), [fixed])
  const connected = { family: 4, dst: '10.0.0.0/24', protocol: 'kernel', scope: 'link' } as const
  const own = { family: 6, dst: 'fe80::/64', protocol: 'kernel' } as const
  const set = { family: 4, dst: 'default', gateway: '10.0.0.1' } as const
  assert.deepEqual(movableRoutes([connected, own, set], []), [set])
  // A network manager that makes the connected route itself tells the kernel not to.
  const managed = { ...fixed, noprefixroute: true }
  assert.deepEqual(movableRoutes([connected, own, set], [managed]), [connected, set])
})
