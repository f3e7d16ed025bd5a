import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { createIncomingMigrations } from './incoming.ts'

const [migration, source, other] = [newUuid(), newUuid(), newUuid()]
const agent = (name: string) => ({ kind: 'agent' as const, name })
const connect = async () => new PassThrough()

test('only the agent of the host the VM comes from gets a tunnel, and only to what was announced', async () => {
  const incoming = createIncomingMigrations()
  const path = `${migration}.libvirt`
  await assert.rejects(incoming.open(path, agent(source), connect), { code: 'SYS.1003' })
  incoming.announce(migration, source)
  await assert.rejects(incoming.open(path, agent(other), connect), {
    code: 'SYS.1003',
    details: /not announced/,
  })
  ;(await incoming.open(path, agent(source), connect)).destroy()
  incoming.end(migration)
  await assert.rejects(incoming.open(path, agent(source), connect), { code: 'SYS.1003' })
})

test('the end of a migration cuts its tunnels, also one that was just being opened', async () => {
  const incoming = createIncomingMigrations()
  incoming.announce(migration, source)
  const tunnel = await incoming.open(`${migration}.libvirt`, agent(source), connect)
  const { promise, resolve } = Promise.withResolvers<PassThrough>()
  const late = incoming.open(`${migration}.qemu`, agent(source), () => promise)
  // Announced again, as a repeat of the command does: what is open stays known.
  incoming.announce(migration, source)
  const closed = once(tunnel, 'close')
  incoming.end(migration)
  await closed
  resolve(new PassThrough())
  assert.equal((await late).destroyed, true)
})
