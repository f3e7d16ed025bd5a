import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { jailArguments, judgeInfo, probeInJail } from './probe-jail.ts'
import { run, testDirectory } from './testing.ts'

const signal = new AbortController().signal

test('sound images are measured', async (t) => {
  const base = await testDirectory(t)
  const qcow2 = join(base, 'a:b,c.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', qcow2, '3M'])
  assert.deepEqual(await probeInJail(qcow2, 'qcow2', signal), { virtualSizeBytes: 3 * 2 ** 20 })
  const raw = join(base, 'raw')
  await writeFile(raw, Buffer.alloc(700, 1))
  assert.deepEqual(await probeInJail(raw, 'raw', signal), { virtualSizeBytes: 1024 })
})

test('the jail by itself refuses what leads out', async (t) => {
  const base = await testDirectory(t)
  const make = async (name: string, ...options: string[]) => {
    const path = join(base, name)
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, path, '1M'])
    return path
  }
  const backing = await make('backing', '-F', 'raw', '-b', '/etc/passwd')
  const json = await make('json', '-u', '-F', 'raw', '-b', 'json:{"driver":"file","filename":"/etc/passwd"}')
  await writeFile(join(base, 'data'), '')
  const data = await make('with-data', '-o', `data_file=${join(base, 'data')}`)
  const huge = await make('huge')
  await run('qemu-img', ['resize', '-q', '-f', 'qcow2', huge, '65T'])
  const other = join(base, 'other')
  await writeFile(other, Buffer.alloc(4096, 7))
  const cases: [string, RegExp][] = [
    [backing, /overlay on "\/etc\/passwd"/],
    [json, /overlay on/],
    // Older QEMU tries to open it, and inside there is none.
    [data, /external data file|No such file/],
    [huge, /virtual size is 71468255805440 bytes/],
    [other, /cannot read it as qcow2: .*not in qcow2 format/],
  ]
  for (const [path, why] of cases) {
    await assert.rejects(probeInJail(path, 'qcow2', signal), { code: 'SYS.1007', message: why }, path)
  }
})

test('inside there is the image and nothing else of the machine', async (t) => {
  const base = await testDirectory(t)
  await writeFile(join(base, 'raw'), 'x')
  const jail = await jailArguments(join(base, 'raw'))
  const look = (path: string) => run('bwrap', [...jail, '--', '/usr/bin/qemu-img', 'info', '-f', 'raw', path])
  assert.match((await look('/image')).stdout, /file format: raw/)
  for (const path of ['/etc/passwd', join(base, 'raw'), '/proc/self/environ', '/dev/sda']) {
    await assert.rejects(look(path), /No such file or directory/, path)
  }
  const create = run('bwrap', [...jail, '--', '/usr/bin/qemu-img', 'create', '-f', 'raw', '/image', '1M'])
  await assert.rejects(create, /Read-only file system|Permission denied/)
})

test('without bubblewrap no image is accepted', async (t) => {
  const base = await testDirectory(t)
  await mkdir(join(base, 'bin'))
  await symlink('/usr/bin/prlimit', join(base, 'bin', 'prlimit'))
  await writeFile(join(base, 'raw'), 'x')
  const path = process.env.PATH
  t.after(() => {
    process.env.PATH = path
  })
  process.env.PATH = join(base, 'bin')
  const failing = probeInJail(join(base, 'raw'), 'raw', signal)
  await assert.rejects(failing, { code: 'SYS.1016', message: /jail for the check does not start/ })
})

test('what qemu-img prints is judged by itself', () => {
  const print = (changes: object, data: object = {}) =>
    JSON.stringify({ format: 'qcow2', 'virtual-size': 512, 'format-specific': { data }, ...changes })
  assert.deepEqual(judgeInfo(print({}), 'qcow2'), { virtualSizeBytes: 512 })
  const cases: [string, RegExp][] = [
    [print({ format: 'vmdk' }), /it is vmdk, not qcow2/],
    [print({ 'backing-filename': 'json:{}' }), /overlay on "json:\{\}"/],
    [print({}, { 'data-file': '/etc/passwd' }), /external data file/],
    [print({ encrypted: true }), /encrypted/],
    [print({}, { encrypt: {} }), /encrypted/],
    [print({}, { corrupt: true }), /corrupt/],
    [print({ 'virtual-size': 0 }), /virtual size/],
    ['nonsense', /did not print the JSON/],
  ]
  for (const [output, why] of cases) assert.throws(() => judgeInfo(output, 'qcow2'), why, output)
})
