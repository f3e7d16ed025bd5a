import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { loadAuthority } from '#agent-rpc'
import { openAuthority } from './open-authority.ts'

describe('the authority of a data directory', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'zstack-authority-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  it('is made once, for all who ask at the same time and after a restart', async () => {
    const [one, other] = await Promise.all([openAuthority(dir), openAuthority(dir)])
    assert.equal(one.certificate, other.certificate)
    assert.deepEqual(await readdir(dir), ['agent-authority'])
    const stored = await loadAuthority(join(dir, 'agent-authority'))
    assert.equal(stored.certificate, one.certificate)
    assert.equal((await stat(join(dir, 'agent-authority', 'ca.key.pem'))).mode & 0o777, 0o600)
  })

  it('is asked for again after a failure', async () => {
    const blocked = join(dir, 'data')
    await writeFile(blocked, 'in the way')
    await assert.rejects(openAuthority(blocked))
    await rm(blocked)
    assert.match((await openAuthority(blocked)).certificate, /BEGIN CERTIFICATE/)
  })
})
