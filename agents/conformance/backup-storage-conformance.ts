import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { AgentCall, AgentClient, CallInput } from '#agent-rpc'
import {
  deleteImage,
  downloadImage,
  initBackupStorage,
  listImages,
  pingBackupStorage,
  statImage,
} from '#agents/backup-storage/contract/index.ts'
import { newUuid, sysErrors } from '#kernel'
import { declareEpochTests, type EpochFixture } from './epoch-conformance.ts'
import { conformanceStorageUuid, refused, testTimeout } from './kvm-host-fixture.ts'

/** The agent under test and what it may use. README.md says what each member must be. */
export interface BackupStorageFixture {
  readonly client: AgentClient
  /** Another client, of a management node that is at this epoch of its cluster. */
  clientAt(epoch: number): AgentClient
  /** A directory that is absent or empty, on the agent's machine. */
  readonly root: string
  /** A qcow2 image it can fetch, and what it must find out about it. */
  readonly image: {
    readonly url: string
    readonly allowPrivateAddresses: boolean
    readonly filePrefixes: readonly string[]
    readonly virtualSizeBytes: number
    readonly actualSizeBytes: number
    readonly sha256: string
  }
  /** A URL like that of the image, where nothing is. */
  readonly missingUrl: string
  dispose(): Promise<void>
}

type GetStorage = () => BackupStorageFixture
type Download = CallInput<typeof downloadImage>

/**
 * Declares the tests every backup storage agent must pass, real or simulated. `makeAgent` is called once; what it gives is
 * disposed of at the end, also when tests fail. `skip` is the reason why they cannot run here.
 */
export function backupStorageConformance(
  name: string,
  makeAgent: () => Promise<BackupStorageFixture>,
  options: { readonly skip?: string } = {},
): void {
  describe(`backup storage agent: ${name}`, { skip: options.skip ?? false, ...testTimeout }, () => {
    let fixture: BackupStorageFixture | undefined
    const getStorage = () => {
      if (fixture === undefined) throw new Error('the agent under test was not made')
      return fixture
    }
    before(async () => {
      fixture = await makeAgent()
      await fixture.client.call(initBackupStorage, {
        root: fixture.root,
        storageUuid: conformanceStorageUuid,
      })
    })
    after(async () => {
      await fixture?.dispose()
    })
    declareRootTests(getStorage)
    declareImageTests(getStorage)
    declareFailureTests(getStorage)
    declareGateTests(getStorage)
    declareInputTests(getStorage)
    declareEpochTests(() => imageAtEpochs(getStorage()))
  })
}

function imageAtEpochs(storage: BackupStorageFixture): EpochFixture {
  const imagePath = imagePathOf(storage)
  return {
    clientAt: storage.clientAt,
    change: (client) => download({ ...storage, client }, { imagePath }),
    takeBack: async (client) => (await client.call(deleteImage, { imagePath })).deleted,
  }
}

function declareRootTests(getStorage: GetStorage): void {
  it('initialises its root again without harm, and tells its space', async () => {
    const { client, root } = getStorage()
    const space = await client.call(initBackupStorage, { root, storageUuid: conformanceStorageUuid })
    assert.ok(space.totalBytes > 0 && space.availableBytes <= space.totalBytes)
    const ping = await client.call(pingBackupStorage, {})
    assert.equal(ping.totalBytes, space.totalBytes)
    assert.notEqual(ping.agentVersion, '')
  })

  it('refuses every path outside the root', async () => {
    const { client, root } = getStorage()
    const code = sysErrors.invalidArgument.code
    for (const imagePath of ['/etc/passwd', `${root}/../stray`, `${root}-other/x.qcow2`, 'x.qcow2', '/']) {
      await refused(`stat of ${imagePath}`, client.call(statImage, { imagePath }), code)
      await refused(`deleting ${imagePath}`, client.call(deleteImage, { imagePath }), code)
      await refused(`download to ${imagePath}`, download(getStorage(), { imagePath }), code)
    }
    await refused('deleting the root', client.call(deleteImage, { imagePath: root }))
  })
}

function declareImageTests(getStorage: GetStorage): void {
  it('downloads an image, tells it by stat and list, deletes it once', async () => {
    const { client, image } = getStorage()
    const before = await client.call(listImages, {})
    const imagePath = imagePathOf(getStorage())
    assert.deepEqual(await client.call(statImage, { imagePath }), { exists: false })

    const { virtualSizeBytes, actualSizeBytes, sha256 } = image
    const expected = { format: 'qcow2', virtualSizeBytes, actualSizeBytes, sha256 }
    assert.deepEqual(await download(getStorage(), { imagePath }), expected)
    assert.deepEqual(await download(getStorage(), { imagePath }), expected)
    assert.deepEqual(await client.call(statImage, { imagePath }), { exists: true, actualSizeBytes })
    const { files } = await client.call(listImages, {})
    assert.deepEqual(
      files.filter((file) => file.path === imagePath),
      [{ path: imagePath, actualSizeBytes }],
    )

    assert.deepEqual(await client.call(deleteImage, { imagePath }), { deleted: true })
    assert.deepEqual(await client.call(deleteImage, { imagePath }), { deleted: false })
    assert.deepEqual(await client.call(statImage, { imagePath }), { exists: false })
    assert.deepEqual(await client.call(listImages, {}), before)
  })
}

function declareFailureTests(getStorage: GetStorage): void {
  it('leaves nothing of an image that is not there or too large', async () => {
    const { client, missingUrl } = getStorage()
    const before = await client.call(listImages, {})
    for (const wrong of [{ url: missingUrl }, { maxBytes: 1 }]) {
      const imagePath = imagePathOf(getStorage())
      await refused(`download with ${JSON.stringify(wrong)}`, download(getStorage(), { imagePath, ...wrong }))
      assert.deepEqual(await client.call(statImage, { imagePath }), { exists: false })
    }
    assert.deepEqual(await client.call(listImages, {}), before)
  })
}

function declareGateTests(getStorage: GetStorage): void {
  it('fetches from nowhere it must not', async () => {
    const closed = { allowPrivateAddresses: false, filePrefixes: [] }
    const urls = [
      'file:///etc/passwd',
      'http://127.0.0.1:9/x.qcow2',
      'http://[::1]:9/x.qcow2',
      'http://169.254.169.254/latest/meta-data/',
      'http://10.0.0.1/x.qcow2',
      'gopher://example.com/x',
      'no url',
    ]
    for (const url of urls) {
      const imagePath = imagePathOf(getStorage())
      await refused(`download from ${url}`, download(getStorage(), { imagePath, url, ...closed }))
    }
  })

  it('does not climb out of the directories file URLs may lie in', async () => {
    const imagePath = imagePathOf(getStorage())
    const url = 'file:///srv/images/../../etc/passwd'
    await refused('a climbing URL', download(getStorage(), { imagePath, url, filePrefixes: ['/srv/images'] }))
  })
}

function declareInputTests(getStorage: GetStorage): void {
  it('refuses wrong input and names the field', async () => {
    const { client } = getStorage()
    const wrong: [AgentCall, Record<string, unknown>, string][] = [
      [statImage, {}, 'imagePath'],
      [initBackupStorage, { root: 'images; reboot', storageUuid: 'x' }, 'root'],
      [downloadImage, { url: 'http://x/', imagePath: '/x', expectedFormat: 'vmdk' }, 'expectedFormat'],
    ]
    for (const [call, input, field] of wrong) {
      // The type of an input this test gets wrong on purpose.
      const error = await refused(
        call.name,
        client.call(call, input as never),
        sysErrors.invalidArgument.code,
      )
      assert.ok(error.details.includes(field), `${call.name} does not name ${field}: ${error.details}`)
    }
  })
}

function imagePathOf({ root }: BackupStorageFixture): string {
  const uuid = newUuid()
  return `${root}/rootVolumeTemplates/acct-conformance/${uuid}/${uuid}.qcow2`
}

function download({ client, image }: BackupStorageFixture, parts: Partial<Download> & { imagePath: string }) {
  const { url, allowPrivateAddresses, filePrefixes } = image
  return client.call(downloadImage, {
    url,
    expectedFormat: 'qcow2',
    maxBytes: 2 ** 40,
    allowPrivateAddresses,
    filePrefixes: [...filePrefixes],
    ...parts,
  })
}
