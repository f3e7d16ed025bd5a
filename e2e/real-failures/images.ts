import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeError } from '#kernel'
import { runCommand } from '#lab/command.ts'
import { queryBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { addImage } from '#plugins/image/contract/apis.ts'
import { countRows, inventoryOfHosts } from '../support/inventory.ts'
import type { RealCloud } from '../support/real-cloud.ts'
import { serveImage } from '../support/serve-image.ts'

/** Images that cannot be had, or must not be: each is refused in words, and leaves neither a file nor a row. */
export function declareImageFailures(getCloud: () => RealCloud): void {
  test('images that are away, cut short, or name files they must not', async (t) => {
    const { client, lab } = getCloud()
    const take = async () => [await inventoryOfHosts(lab, ['host1', 'host2']), await countRows(client)]
    const before = await take()
    const [storage] = (await client.query(queryBackupStorage, ['name=images'])).inventories
    const thief = join(tmpdir(), `zs-thief-${process.pid}.qcow2`)
    await runCommand([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      '/etc/passwd',
      thief,
      '64M',
    ])
    const server = await serveImage(lab, { 'thief.qcow2': thief })
    try {
      const refusals: [url: string, words: RegExp][] = [
        ['http://10.98.0.1:1/nobody.qcow2', /10\.98\.0\.1:1.*(refused|ECONNREFUSED)/],
        [server.urlOf('missing.qcow2'), /404/],
        [`${server.url}?cut`, /broke|ended|cut|incomplete|aborted|early/],
        [server.urlOf('thief.qcow2'), /backing file/],
        ['file:///etc/passwd', /file: URL.*download\.filePrefixes/],
      ]
      for (const [url, words] of refusals) {
        const what = { name: 'bad', url, format: 'qcow2', mediaType: 'RootVolumeTemplate' as const }
        const backupStorageUuids = [String(storage?.uuid)]
        const error = await client.call(addImage, { ...what, platform: 'Linux', backupStorageUuids }).then(
          () => assert.fail(`${url} was not refused`),
          (reason: unknown) => describeError(reason),
        )
        t.diagnostic(`${url}: ${error}`)
        assert.match(error, words)
      }
      assert.deepEqual(await take(), before)
    } finally {
      await server.stop()
      await rm(thief)
    }
  })
}
