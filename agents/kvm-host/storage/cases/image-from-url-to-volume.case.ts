import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgentClient, createAgentServer, createAuthority } from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import { createBackupStorageHandlers } from '#agents/backup-storage/handlers.ts'
import { silentLogger as log, newUuid } from '#kernel'
import { createStorageHandlers } from '../handlers.ts'
import { createImageOpener } from '../open-image.ts'
import { callContext, run } from '../testing.ts'

/** A backup storage agent behind mutual TLS, and the storage commands of a host that dials it. */
async function arrange(t: TestContext) {
  const base = await mkdtemp(join(tmpdir(), 'zs-transfer-'))
  t.after(() => rm(base, { recursive: true, force: true }))
  const authority = await createAuthority(join(base, 'ca'))
  const uuid = newUuid()
  const issue = (role: string) => authority.issueAgent({ uuid, role, addresses: ['127.0.0.1'] })
  const { handlers, imagesRoute } = createBackupStorageHandlers({
    stateDirectory: join(base, 'backup-state'),
    agentVersion: 'v1',
    log,
  })
  const server = createAgentServer({
    tls: await issue('backup-storage'),
    calls: backupStorageCalls,
    handlers,
    peerRoutes: [imagesRoute],
    uuid,
    bundleHash: 'v1',
    logger: log,
  })
  const port = await server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  const management = createAgentClient({
    address: '127.0.0.1',
    port,
    uuid,
    tls: await authority.issueManagement(),
    logger: log,
  })
  t.after(() => management.close())
  const openImage = createImageOpener({ tls: await issue('kvm-host'), logger: log })
  const host = createStorageHandlers({ stateDirectory: join(base, 'host-state'), openImage, log })
  const [backupRoot, hostRoot] = [join(base, 'bs'), join(base, 'ps')]
  await management.call(backupStorageCalls.initBackupStorage, { root: backupRoot, storageUuid: uuid })
  await host.initStorage({ root: hostRoot, storageUuid: uuid }, callContext())
  return { base, management, host, port, backupRoot, hostRoot }
}

async function serveFile(t: TestContext, content: Buffer): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': content.length }).end(content)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`
}

test('an image goes from a URL through the backup storage into a volume of a host', async (t) => {
  const { base, management, host, port, backupRoot, hostRoot } = await arrange(t)
  await writeFile(join(base, 'disk'), randomBytes(3_000_000))
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(base, 'disk'), join(base, 'disk.qcow2')])
  const url = await serveFile(t, await readFile(join(base, 'disk.qcow2')))
  const imagePath = join(backupRoot, 'rootVolumeTemplates', 'acct-ä b', 'i.qcow2')
  const facts = await management.call(backupStorageCalls.downloadImage, {
    ...{ url, imagePath, expectedFormat: 'qcow2' as const, maxBytes: 2 ** 30 },
    ...{ allowPrivateAddresses: true, filePrefixes: [] },
  })
  const cachePath = join(hostRoot, 'imagecache', 'i.qcow2')
  const source = { address: '127.0.0.1', port, path: imagePath }
  const input = {
    source,
    cachePath,
    sizeBytes: facts.actualSizeBytes,
    sha256: facts.sha256,
    format: facts.format,
  }
  await host.cacheImage(input, callContext())
  assert.deepEqual(await readFile(cachePath), await readFile(join(base, 'disk.qcow2')))
  const installPath = join(hostRoot, 'rootVolumes', 'v.qcow2')
  const volume = await host.createVolumeFromCache(
    { cachePath, cacheFormat: 'qcow2', installPath },
    callContext(),
  )
  assert.equal(volume.virtualSizeBytes, facts.virtualSizeBytes)
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', join(base, 'disk'), installPath])
})

test('an image that changed on the backup storage, or is not there, does not reach the cache', async (t) => {
  const { management, host, port, backupRoot, hostRoot } = await arrange(t)
  const url = await serveFile(t, randomBytes(200_000))
  const imagePath = join(backupRoot, 'i.raw')
  const facts = await management.call(backupStorageCalls.downloadImage, {
    ...{ url, imagePath, expectedFormat: 'raw' as const, maxBytes: 2 ** 30 },
    ...{ allowPrivateAddresses: true, filePrefixes: [] },
  })
  await chmod(imagePath, 0o644)
  await writeFile(imagePath, randomBytes(200_000))
  const cache = (path: string) =>
    host.cacheImage(
      {
        source: { address: '127.0.0.1', port, path },
        cachePath: join(hostRoot, 'c', 'i.img'),
        sizeBytes: facts.actualSizeBytes,
        sha256: facts.sha256,
        format: facts.format,
      },
      callContext(),
    )
  await assert.rejects(cache(imagePath), /is damaged: its sha256 is/)
  await assert.rejects(cache(join(backupRoot, 'missing')), { code: 'SYS.1003' })
  await assert.rejects(cache('/etc/passwd'), { code: 'SYS.1007' })
  assert.deepEqual(await readdir(hostRoot), ['.zstack-storage.json'])
})
