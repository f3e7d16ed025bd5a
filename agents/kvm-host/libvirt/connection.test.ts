/** Errors find their calls: tried with libvirt's own test driver, which lives inside the client library. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { CloudError, newUuid, silentLogger } from '#kernel'
import { LibvirtClient, shareThreads } from './client.ts'
import { LibvirtConnection } from './connection.ts'
import { listDomains, withDomain } from './domain.ts'
import { retainEventLoop } from './event-loop.ts'
import { loadLibvirt } from './ffi.ts'
import { domainUuid } from './identity.ts'

function missingLibrary(): string | false {
  try {
    loadLibvirt()
    return false
  } catch (error) {
    return `libvirt.so.0 cannot be loaded: ${String(error)}`
  }
}
const skip = missingLibrary()

test('failures at the same time each carry the message of their own call', { skip }, async () => {
  const release = retainEventLoop(silentLogger)
  const connections: LibvirtConnection[] = []
  try {
    for (let n = 0; n < 8; n += 1)
      connections.push(await LibvirtConnection.open('test:///default', silentLogger))
    const { api } = loadLibvirt()
    const wrong = await Promise.all(
      connections.map(async (connection) => {
        const told: string[] = []
        for (let round = 0; round < 100; round += 1) {
          const mark = newUuid()
          const xml = `<domain type='${mark}'><name>x</name></domain>`
          const error = await connection.call(`start ${mark}`, api.createXml, xml, 0).catch((e) => e)
          const right =
            error instanceof CloudError && error.details.startsWith(`cannot start ${mark}; libvirt says: `)
          // Once in what was tried, once in libvirt's own words.
          if (!right || error.details.split(mark).length !== 3) told.push(String(error))
        }
        return told
      }),
    )
    assert.deepEqual(wrong.flat(), [])
  } finally {
    await Promise.all(connections.map((connection) => connection.close()))
    await release()
  }
})

test('a success after a failure does not inherit its error', { skip }, async () => {
  const client = new LibvirtClient('test:///default', silentLogger, 4)
  try {
    await client.use(async (connection) => {
      const { api } = loadLibvirt()
      await assert.rejects(
        connection.call('find it', api.lookupByUuid, domainUuid(newUuid())),
        /no domain|not found/i,
      )
      const version: [number] = [0]
      await connection.call('ask', api.connectGetLibVersion, version)
      assert.ok(Number(version[0]) > 1_000_000)
    })
  } finally {
    await client.dispose()
  }
})

test('two calls at a time on one connection are a mistake that is told', { skip }, async () => {
  const client = new LibvirtClient('test:///default', silentLogger, 4)
  try {
    await client.use(async (connection) => {
      const { api } = loadLibvirt()
      const first = connection.call('ask', api.connectGetLibVersion, [0])
      await assert.rejects(
        connection.call('ask', api.connectGetLibVersion, [0]),
        /two libvirt calls at a time/,
      )
      await first
    })
  } finally {
    await client.dispose()
  }
})

test('a libvirtd that is not there is named with its address', { skip }, async () => {
  const client = new LibvirtClient('qemu+unix:///system?socket=/nonexistent/sock', silentLogger, 4)
  try {
    const error = await client.use(listDomains).catch((e) => e)
    assert.ok(error instanceof CloudError)
    assert.match(error.details, /does not answer at .*nonexistent.*is libvirtd running/)
    assert.match(String(error.cause), /libvirt says: .*nonexistent/)
  } finally {
    await client.dispose()
  }
})

test('domains of others are seen, and refused by uuid', { skip }, async () => {
  const client = new LibvirtClient('test:///default', silentLogger, 4)
  try {
    const [theirs] = await client.use(listDomains)
    assert.equal(theirs?.name, 'test')
    assert.equal(theirs?.ours, false)
    const vmUuid = (theirs?.uuid ?? '').replaceAll('-', '')
    await assert.rejects(
      withDomain(client, vmUuid, async () => undefined),
      /was not made by this agent; it is left alone/,
    )
    assert.equal(await withDomain(client, newUuid(), async (domain) => domain), undefined)
  } finally {
    await client.dispose()
  }
})

test('a process that ends without a word to libvirt does end', { skip }, async () => {
  const script = `
    import { LibvirtClient } from ${JSON.stringify(import.meta.resolve('./client.ts'))}
    import { listDomains } from ${JSON.stringify(import.meta.resolve('./domain.ts'))}
    const silent = () => undefined
    await new LibvirtClient('test:///default', { warn: silent, error: silent }).use(listDomains)
    process.exit(7)`
  const code = await new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 }, (error) =>
      resolve(error?.code ?? error?.signal),
    )
  })
  assert.equal(code, 7)
})

test('threads are shared so that files and events keep theirs', () => {
  for (let threads = 4; threads <= 64; threads += 1) {
    const { short, long } = shareThreads(threads)
    assert.ok(short >= 1 && long >= 1 && short + long <= threads - 2, `${threads}: ${short} + ${long}`)
  }
})
