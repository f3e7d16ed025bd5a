import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAuthority } from '#agent-rpc'
import { createRabbitTransport, type Envelope, probeBrokers } from '#bus'
import { newUuid, silentLogger, waitFor } from '#kernel'
import { startRabbitmq, tempDir } from '#testkit'

test('nodes talk through a broker by TLS when it proves its address; another one is refused', async (t) => {
  const dir = tempDir(t)
  const authority = await createAuthority(join(dir, 'authority'))
  const stranger = await createAuthority(join(dir, 'stranger'))
  const brokers = await startRabbitmq({
    nodes: 1,
    certificateFor: async (host) => {
      const subject = { uuid: newUuid(), role: 'broker', addresses: [host] }
      const { cert, key } = await authority.issueAgent(subject)
      const [certificateFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
      writeFileSync(certificateFile, cert)
      writeFileSync(keyFile, key)
      return { certificateFile, keyFile }
    },
  })
  t.after(() => brokers.dispose())
  const { user, password } = brokers
  const addresses = brokers.endpoints.map(({ host }) => `${host}:5671`)
  const options = { brokers: addresses, user, password, virtualHost: '/', tls: true }
  const trusted = { ...options, certificateAuthority: authority.certificate }
  assert.equal(await probeBrokers(trusted), undefined)
  const foreign = await probeBrokers({ ...options, certificateAuthority: stranger.certificate })
  assert.match(foreign ?? '', /no message broker can be used \(.*:5671: .*certificate/)
  assert.match((await probeBrokers(options)) ?? '', /certificate/)

  const heard: Envelope[] = []
  const node = newUuid()
  const transport = createRabbitTransport(node, trusted, silentLogger)
  t.after(() => transport.dispose())
  await transport.open(async (envelope) => void heard.push(envelope))
  await transport.send(node, { kind: 'reply', id: 'a.1.1', from: node, output: 7 })
  await waitFor('the message to arrive', () => heard.length === 1)
  assert.deepEqual(heard, [{ kind: 'reply', id: 'a.1.1', from: node, output: 7 }])
})
