import assert from 'node:assert/strict'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { test } from 'node:test'
import { cgroupRoot } from './config.ts'
import { diff, type Snapshot, snapshot } from './leak-check.ts'

const nothing: Snapshot = {
  processes: [],
  networkNamespaces: [],
  mounts: [],
  links: [],
  rules: [],
  cgroups: [],
  loopDevices: [],
  files: [],
}

test('what came and what went is listed with its category', () => {
  const before = { ...nothing, links: ['lo', 'eth0'] }
  const after = { ...nothing, links: ['lo', 'virbr0'], mounts: ['/zstack_ps (8:1 /)'] }
  assert.deepEqual(diff(before, after), ['+ mounts: /zstack_ps (8:1 /)', '+ links: virbr0', '- links: eth0'])
})

test('processes of a lab that was up before may come and go, others may not come', () => {
  const before = {
    ...nothing,
    cgroups: [`${cgroupRoot()}/zstack-lab-zs`],
    processes: ['1 in / net:[1]: sshd'],
  }
  const own = '2 in /zstack-lab-zs/host1/os net:[2]: sshd: root'
  const other = '3 in /zstack-lab-other/host1/os net:[3]: libvirtd -d'
  assert.deepEqual(diff(before, { ...before, processes: [own, other] }), [`+ processes: ${other}`])
})

test('what a living test made is its own business until it ends', () => {
  const mine = `zstack-lab-test-${process.pid}`
  const running = `zstack-lab-test-${process.ppid}`
  const ended = 'zstack-lab-test-4194304999'
  const after = { ...nothing, networkNamespaces: [mine, running, ended] }
  assert.deepEqual(diff(nothing, after), [`+ networkNamespaces: ${mine}`, `+ networkNamespaces: ${ended}`])
})

test('a state directory left on the real machine is found, and gone when removed', async () => {
  const before = await snapshot()
  const left = await mkdtemp('/tmp/zstack-leak-')
  try {
    assert.ok(diff(before, await snapshot()).includes(`+ files: ${left}`))
  } finally {
    await rmdir(left)
  }
  assert.equal(diff(before, await snapshot()).includes(`+ files: ${left}`), false)
})
