/** Both real agents on a virtual host of the lab: from nothing over SSH to answering commands, side by side. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLab, type Lab } from '#lab/lab.ts'

// Hosts without systemd are what all other tests of real clouds run on.
test('a host with systemd gets both agents, keeps them on a repeat, and they answer', async (t) => {
  const lab = createLab({ name: `agents-${process.pid}`, nat: false, init: 'systemd' })
  t.after(() => lab.down())
  await lab.up({ hosts: 1 })
  await deployAndCheck(lab)
})

async function deployAndCheck(lab: Lab): Promise<void> {
  const host = lab.host('host1')
  const script = join(import.meta.dirname, 'real-agents/deploy-both.ts')
  const { stdout } = await lab.runInSwitch([process.execPath, script, host.address, host.password])
  const seen = JSON.parse(stdout)
  const restarts = (runs: { restarted: boolean }[]) => runs.map((run) => run.restarted)
  assert.deepEqual(
    [restarts(seen.first), restarts(seen.again)],
    [
      [true, true],
      [false, false],
    ],
  )
  for (const i of [0, 1]) assert.equal(seen.again[i].instance, seen.first[i].instance)
  assert.equal(seen.facts.hostname, 'host1')
  assert.match(seen.facts.libvirtVersion, /^\d+\.\d+\.\d+$/)
  assert.deepEqual(seen.vms, [])
  assert.ok(seen.init.availableBytes > 0)
  assert.deepEqual(seen.removed, [{ removed: true }, { removed: true }])
  const left = await host.exec(['find', '/var/lib/zstack', '-type', 'f'])
  assert.equal(left.stdout, '')
}
