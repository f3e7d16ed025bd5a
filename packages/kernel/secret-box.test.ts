import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createSecretBox } from './secret-box.ts'

describe('secret box', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'zstack-secret-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  it('opens what it sealed, also after a restart, and never seals the same way twice', async () => {
    const box = await createSecretBox(dir)
    const sealed = box.seal('pässword')
    assert.ok(!sealed.includes('pässword'))
    assert.notEqual(sealed, box.seal('pässword'))
    const later = await createSecretBox(dir)
    assert.equal(later.open(sealed), 'pässword')
    assert.equal(later.open(box.seal('')), '')
  })

  it('keeps its key to itself', async () => {
    await createSecretBox(dir)
    assert.equal((await stat(join(dir, 'secret.key'))).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(dir), ['secret.key'])
  })

  it('makes one key when made twice at the same time', async () => {
    const [one, other] = await Promise.all([createSecretBox(dir), createSecretBox(dir)])
    assert.equal(other.open(one.seal('x')), 'x')
  })

  it('refuses what was changed, and what another key sealed', async () => {
    const box = await createSecretBox(dir)
    const sealed = box.seal('password')
    const [format, nonce, tag, body = ''] = sealed.split('.')
    const flipped = Buffer.from(body, 'base64').map((byte) => byte ^ 1)
    const changed = [format, nonce, tag, Buffer.from(flipped).toString('base64')].join('.')
    assert.throws(() => box.open(changed), { code: 'SYS.1000' })
    assert.throws(() => box.open('password'), { code: 'SYS.1000' })
    await rm(join(dir, 'secret.key'))
    const stranger = await createSecretBox(dir)
    assert.throws(() => stranger.open(sealed), /was the key file replaced/)
  })

  it('refuses a key file that holds no key, and leaves it alone', async () => {
    await writeFile(join(dir, 'secret.key'), 'short')
    await assert.rejects(createSecretBox(dir), { code: 'SYS.1016' })
    assert.equal(await readFile(join(dir, 'secret.key'), 'utf8'), 'short')
  })
})
