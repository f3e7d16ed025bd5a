import 'reflect-metadata'
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import * as x509 from '@peculiar/x509'
import { createFetchGate } from './fetch-gate.ts'

const policy = { allowPrivateAddresses: true, filePrefixes: [], maxBytes: 1000 }
const signal = new AbortController().signal

/** A web server with a certificate of its own for `images.test`; answers /plain with a redirect to http. */
async function serveTls(t: TestContext) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  x509.cryptoProvider.set(webcrypto)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=images.test',
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'images.test' }])],
  })
  const cert = certificate.toString('pem')
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const key = x509.PemConverter.encode(der, 'PRIVATE KEY')
  const names: unknown[] = []
  const server = createServer({ cert, key }, (request, response) => {
    names.push((request.socket as TLSSocket & { servername?: string }).servername)
    if (request.url === '/plain') response.writeHead(302, { location: 'http://127.0.0.1/' }).end()
    else response.end('hello')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.4', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { cert, names, url: `https://images.test:${(server.address() as AddressInfo).port}` }
}

test('https goes to the judged address under the name of the URL, and checks the certificate', async (t) => {
  const { cert, names, url } = await serveTls(t)
  const resolve = async () => ['127.0.0.4']
  const gate = createFetchGate({ resolve, authorities: [cert] })
  assert.equal((await buffer((await gate(`${url}/`, policy, signal)).stream)).toString(), 'hello')
  assert.deepEqual(names, ['images.test'])
  await assert.rejects(gate(`${url}/plain`, policy, signal), /redirects from https to plain http/)
  const otherName = gate(url.replace('images', 'other'), policy, signal)
  await assert.rejects(otherName, (error: Error) => /altnames/.test(String(error.cause)))
  const distrustful = createFetchGate({ resolve })(`${url}/`, policy, signal)
  await assert.rejects(distrustful, (error: Error) => /self-signed/.test(String(error.cause)))
})
