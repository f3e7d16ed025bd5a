import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { listL2Interfaces } from './interfaces.ts'

const interfaces: Record<string, { type?: number; uevent?: string; with?: string }> = {
  eth0: {},
  enp3s0f1: {},
  bond0: { uevent: 'DEVTYPE=bond\n' },
  eth5: { with: 'bonding_slave' },
  lo: { type: 772 },
  br_eth0: { uevent: 'DEVTYPE=bridge\n', with: 'bridge' },
  'eth0.12': { uevent: 'DEVTYPE=vlan\n' },
  vxlan7: { uevent: 'DEVTYPE=vxlan\n' },
  tap3: { with: 'tun_flags' },
  'vnic3.0': { with: 'tun_flags' },
  zs0123456789a: {},
  ib0: { type: 32 },
}

test('cards and bonds are listed; bridges, taps, tags and our own ends are not', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'interfaces-'))
  t.after(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'bonding_masters'), 'bond0\n')
  for (const [name, is] of Object.entries(interfaces)) {
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'type'), `${is.type ?? 1}\n`)
    writeFileSync(join(directory, name, 'uevent'), `${is.uevent ?? ''}INTERFACE=${name}\n`)
    if (is.with !== undefined) mkdirSync(join(directory, name, is.with))
  }
  assert.deepEqual(await listL2Interfaces(directory), ['bond0', 'enp3s0f1', 'eth0'])
})
