import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { parsePackageList } from './debian-package-list.ts'

test('reads names, architectures and comments', () => {
  const text = '# heading\n\nlibvirt-clients  # virsh\nqemu-system-x86 [amd64]\ng++ [arm64 riscv64] # both\n'
  assert.deepEqual(parsePackageList(text, 'amd64'), ['libvirt-clients', 'qemu-system-x86'])
  assert.deepEqual(parsePackageList(text, 'arm64'), ['libvirt-clients', 'g++'])
})

test('refuses a line it cannot read, and so no apt option gets in', () => {
  for (const line of ['two names', '--allow-downgrades', 'name=1.0', 'name [amd64', 'Name']) {
    assert.throws(() => parsePackageList(line, 'amd64'), /cannot read the line/, line)
  }
})

for (const name of ['debian-packages.txt', 'debian-packages-for-tests.txt']) {
  test(`${name} is readable, sorted and every package has its reason`, () => {
    const text = readFileSync(new URL(name, import.meta.url), 'utf8')
    const names = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        assert.match(line, /# \S/, `no reason: ${line}`)
        return line.split(' ')[0]
      })
    assert.deepEqual(names, [...new Set(names)].sort())
    assert.ok(parsePackageList(text, 'amd64').length > 0)
  })
}
