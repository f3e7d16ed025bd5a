import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCpuInfo, parseOsRelease, readMemory, readSystemFacts, versionText } from './facts.ts'

test('os-release with and without quotes', () => {
  const os = parseOsRelease(
    'ID=debian\nVERSION_ID="12"\nPRETTY_NAME=\'Debian "x"\'\n# no\n\nNAME="a \\"b\\""\n',
  )
  assert.deepEqual(Object.fromEntries(os), {
    ID: 'debian',
    VERSION_ID: '12',
    PRETTY_NAME: 'Debian "x"',
    NAME: 'a "b"',
  })
})

test('CPUs and sockets', () => {
  const cpu = (n: number, socket: number) =>
    `processor\t: ${n}\nmodel name\t: A: B\nphysical id\t: ${socket}\n`
  const found = parseCpuInfo([cpu(0, 0), cpu(1, 0), cpu(2, 1), cpu(3, 1)].join('\n'))
  assert.equal(found.cpuNum, 4)
  assert.equal(found.cpuSockets, 2)
  assert.deepEqual(parseCpuInfo('processor: 0\n'), { cpuModel: 'unknown', cpuNum: 1, cpuSockets: 1 })
})

test('versions as libvirt counts them', () => {
  assert.equal(versionText(9_000_000), '9.0.0')
  assert.equal(versionText(7_002_022), '7.2.22')
})

test('this machine', async () => {
  const facts = await readSystemFacts()
  assert.ok(facts.cpuNum >= 1 && facts.totalMemoryBytes > 1024 ** 2)
  assert.match(facts.bootId, /^[0-9a-f-]{36}$/)
  assert.ok(facts.bootedAt < Date.now())
  const memory = await readMemory()
  assert.ok(memory.usedMemoryBytes > 0 && memory.usedMemoryBytes <= memory.totalMemoryBytes)
})
