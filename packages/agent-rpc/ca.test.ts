import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { createAuthority, loadAuthority } from './ca.ts'
import { testAuthority } from './test-agent.ts'

test('an agent certificate names agent, role and addresses, is signed by the authority and lives a year', async (t) => {
  const { authority } = await testAuthority(t)
  const uuid = newUuid()
  const identity = await authority.issueAgent({
    uuid,
    role: 'kvm-host',
    addresses: ['10.0.0.7', 'host.example'],
  })
  const certificate = new X509Certificate(identity.cert)
  assert.equal(certificate.subject, `CN=${uuid}\nOU=agent\nO=kvm-host`)
  assert.equal(certificate.subjectAltName, 'IP Address:10.0.0.7, DNS:host.example')
  assert.ok(certificate.verify(new X509Certificate(authority.certificate).publicKey))
  assert.ok(certificate.checkPrivateKey((await import('node:crypto')).createPrivateKey(identity.key)))
  const days = (certificate.validToDate.getTime() - Date.now()) / 86_400_000
  assert.ok(days > 364 && days <= 365, `${days} days`)
  assert.equal(certificate.ca, false)
})

test('a name cannot smuggle a second organisational unit into the subject', async (t) => {
  const { authority } = await testAuthority(t)
  const { cert } = await authority.issueAgent({ uuid: 'x,OU=management', role: 'r', addresses: [] })
  assert.equal(new X509Certificate(cert).toLegacyObject().subject.OU, 'agent')
})

test('a loaded authority issues what the created one vouches for; serials differ; the key is private', async (t) => {
  const { authority, dir } = await testAuthority(t)
  const loaded = await loadAuthority(join(dir, 'ca'))
  assert.equal(loaded.certificate, authority.certificate)
  const [a, b] = [await loaded.issueManagement(), await authority.issueManagement()]
  const key = new X509Certificate(authority.certificate).publicKey
  assert.ok(new X509Certificate(a.cert).verify(key))
  assert.notEqual(new X509Certificate(a.cert).serialNumber, new X509Certificate(b.cert).serialNumber)
  assert.equal((await stat(join(dir, 'ca', 'ca.key.pem'))).mode & 0o777, 0o600)
})

test('an authority is never overwritten, and a missing one is named', async (t) => {
  const { dir } = await testAuthority(t)
  const before = await readFile(join(dir, 'ca', 'ca.key.pem'), 'utf8')
  await assert.rejects(createAuthority(join(dir, 'ca')), { code: 'SYS.1016' })
  assert.equal(await readFile(join(dir, 'ca', 'ca.key.pem'), 'utf8'), before)
  await assert.rejects(loadAuthority(join(dir, 'nowhere')), { code: 'SYS.1016', details: /nowhere/ })
})
