import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAuthority } from '#agent-rpc'
import { openMariadb } from '#db'
import { newUuid } from '#kernel'
import { startMariadbServer, tempDir, withoutMariadb } from '#testkit'
import { problem, refusal } from './start.testing.ts'

/** A server whose certificate, of an authority of the test, is for these names besides its own address, or instead of it. */
async function secureServer(t: TestContext, names: (host: string) => string[]) {
  const dir = tempDir(t)
  const authority = await createAuthority(join(dir, 'authority'))
  const ca = join(dir, 'ca.pem')
  writeFileSync(ca, authority.certificate)
  const server = await startMariadbServer({
    durable: false,
    certificateFor: async (host) => {
      const { cert, key } = await authority.issueAgent({
        ...{ uuid: newUuid(), role: 'database', addresses: names(host) },
      })
      const [certificateFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
      writeFileSync(certificateFile, cert)
      writeFileSync(keyFile, key)
      return { certificateFile, keyFile }
    },
  })
  return { ...server, ca, certificateAuthority: authority.certificate }
}

const empty = (t: TestContext) => {
  const file = join(tempDir(t), 'password')
  writeFileSync(file, '')
  return file
}

const start = (t: TestContext, at: string, ca: string) =>
  refusal(
    t,
    ...['--data-dir', join(tempDir(t), 'data'), '--api', '127.0.0.1:0'],
    ...['--database', `mysql://root@${at}/mysql`, '--database-password-file', empty(t), '--database-ca', ca],
  )

test('with an authority every connection is encrypted, and other servers are refused', {
  skip: withoutMariadb,
}, async (t) => {
  const server = await secureServer(t, (host) => [host])
  const { host, port, certificateAuthority } = server
  const common = { endpoints: [{ host, port }], user: 'root', password: '', database: 'mysql', poolSize: 2 }
  const cipher = async (options: Parameters<typeof openMariadb>[0]) => {
    const db = openMariadb(options)
    t.after(() => db.close())
    const question = "SHOW STATUS LIKE 'Ssl_cipher'"
    const read = await db.all(question, [])
    // By another connection, made when one to this server is known already.
    const written = await db.write((tx) => tx.all(question, []))
    return [read[0]?.Value, written[0]?.Value]
  }
  for (const used of await cipher({ ...common, certificateAuthority })) assert.match(String(used), /^TLS_/)
  assert.deepEqual(await cipher(common), ['', ''])

  const stranger = await secureServer(t, () => ['db.example'])
  const foreign = openMariadb({
    ...common,
    certificateAuthority: stranger.certificateAuthority,
    patienceMs: 0,
  })
  t.after(() => foreign.close())
  await assert.rejects(foreign.all('SELECT 1', []), /no database server answers .*certificate/)
  const said = await start(t, `${stranger.host}:${stranger.port}`, stranger.ca)
  assert.match(said, problem(/--database no database server answers \(.*: .*IP: .* is not in the cert.*\).*/))
})

test('a server without TLS and a file without a certificate keep a node from starting', {
  skip: withoutMariadb,
}, async (t) => {
  const { host, port } = await startMariadbServer({ durable: false })
  const authority = await createAuthority(join(tempDir(t), 'authority'))
  const ca = join(tempDir(t), 'ca.pem')
  writeFileSync(ca, authority.certificate)
  const plain = await start(t, `${host}:${port}`, ca)
  const noTls =
    /--database no database server answers \(.*: it offers no TLS, and nothing is said to it without\).*/
  assert.match(plain, problem(noTls))
  assert.match(
    await start(t, `${host}:${port}`, '/no/such'),
    /--database-ca cannot be read: ENOENT.*\/no\/such/,
  )
  writeFileSync(ca, 'hello')
  assert.match(await start(t, `${host}:${port}`, ca), /--database-ca .*ca\.pem holds no certificate in PEM\n/)
})
