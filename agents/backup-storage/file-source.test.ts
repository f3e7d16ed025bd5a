import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { createFetchGate } from './fetch-gate.ts'
import { run, testDirectory } from './testing.ts'

test('file URLs reach regular files in the allowed directories and nothing else', async (t) => {
  const base = await testDirectory(t)
  const allowed = join(base, 'images')
  await mkdir(join(allowed, 'sub'), { recursive: true })
  await mkdir(`${allowed}-private`)
  await writeFile(join(allowed, 'sub', 'a b.img'), 'content')
  await writeFile(join(allowed, 'large.img'), Buffer.alloc(2000))
  await writeFile(join(`${allowed}-private`, 'x'), 'secret')
  await symlink('/etc/passwd', join(allowed, 'link'))
  await symlink('/etc', join(allowed, 'etc'))
  await symlink(join(allowed, 'sub', 'a b.img'), join(allowed, 'fine'))
  await run('mkfifo', [join(allowed, 'fifo')])
  const gate = createFetchGate()
  const fetch = (url: string, filePrefixes = [join(base, 'missing'), allowed]) =>
    gate(url, { allowPrivateAddresses: false, filePrefixes, maxBytes: 1000 }, new AbortController().signal)

  for (const name of ['sub/a%20b.img', 'fine', './sub/../fine']) {
    const source = await fetch(`file://${allowed}/${name}`)
    assert.equal(source.sizeBytes, 7)
    assert.equal((await buffer(source.stream)).toString(), 'content')
  }
  const notThere = /not there, or not in a directory images may be taken from/
  const cases: [string, RegExp][] = [
    ['file:///etc/passwd', notThere],
    [`file://${allowed}/link`, notThere],
    [`file://${allowed}/etc/passwd`, notThere],
    [`file://${allowed}/missing`, notThere],
    [`file://${allowed}-private/x`, notThere],
    [`file://${allowed}/%2e%2e/images-private/x`, notThere],
    [`file://${allowed}/sub/..%2f..%2fimages-private/x`, /names no path/],
    [`file://${allowed}/fine%00`, /NUL/],
    [`file://${allowed}/fifo`, /not a regular file/],
    [`file://${allowed}/sub`, /not a regular file/],
    [`file://${allowed}/large.img`, /2000 bytes, more than the 1000/],
    [`file://otherhost${allowed}/fine`, /names the host otherhost/],
  ]
  for (const [url, why] of cases) await assert.rejects(fetch(url), { code: 'SYS.1007', message: why }, url)
  await assert.rejects(fetch(`file://${allowed}/fine`, []), /file URLs are not allowed/)
})
