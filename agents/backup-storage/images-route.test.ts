import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { CloudError } from '#kernel'
import { arrangeBackup, serve } from './testing.ts'

async function arrangeRoute(t: TestContext) {
  const { root, base, imagesRoute } = await arrangeBackup(t)
  const content = randomBytes(1000)
  await mkdir(join(root, 'd'))
  await writeFile(join(root, 'd', 'image ü'), content)
  await writeFile(join(root, 'd', 'empty'), '')
  await writeFile(join(root, 'd', '.zs-part-0'), 'half')
  await writeFile(join(base, 'secret'), 'secret')
  await symlink(join(base, 'secret'), join(root, 'd', 'link'))
  const server = await serve(t, (request, response) => {
    const path = decodeURIComponent((request.url ?? '').slice(imagesRoute.prefix.length))
    imagesRoute.serve({ path }, response, request).catch((error: unknown) => {
      if (error instanceof CloudError) response.writeHead(400).end(error.message)
      else response.destroy()
    })
  })
  const get = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const response = await fetch(`${server.url}/images/${encodeURI(path)}`, { headers, method })
    return { response, body: Buffer.from(await response.arrayBuffer()) }
  }
  return { root, base, content, get }
}

test('hosts read whole images by absolute path, with or without the first slash', async (t) => {
  const { root, content, get } = await arrangeRoute(t)
  for (const path of [`${root}/d/image ü`, `${root.slice(1)}/d/image ü`]) {
    const { response, body } = await get(path)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-length'), '1000')
    assert.deepEqual(body, content)
  }
  const head = await get(`${root}/d/image ü`, {}, 'HEAD')
  assert.equal(head.response.headers.get('content-length'), '1000')
  assert.equal(head.body.length, 0)
  const empty = await get(`${root}/d/empty`)
  assert.deepEqual([empty.response.status, empty.body.length], [200, 0])
})

test('one range is served, several and unknown ones are ignored', async (t) => {
  const { root, content, get } = await arrangeRoute(t)
  const path = `${root}/d/image ü`
  const cases: [string, number, number, number][] = [
    ['bytes=0-0', 206, 0, 1],
    ['bytes=10-19', 206, 10, 20],
    ['bytes=990-', 206, 990, 1000],
    ['bytes=990-5000', 206, 990, 1000],
    ['bytes=-10', 206, 990, 1000],
    ['bytes=-5000', 206, 0, 1000],
    ['bytes=0-1,5-6', 200, 0, 1000],
    ['bytes=20-10', 200, 0, 1000],
    ['bytes=-', 200, 0, 1000],
    ['lines=1-2', 200, 0, 1000],
  ]
  for (const [range, status, from, to] of cases) {
    const { response, body } = await get(path, { range })
    assert.equal(response.status, status, range)
    assert.deepEqual(body, content.subarray(from, to), range)
    if (status === 206) assert.equal(response.headers.get('content-range'), `bytes ${from}-${to - 1}/1000`)
  }
  for (const range of ['bytes=1000-', 'bytes=-0']) {
    const { response } = await get(path, { range })
    assert.equal(response.status, 416, range)
    assert.equal(response.headers.get('content-range'), 'bytes */1000')
  }
})

test('only whole images below the root are served', async (t) => {
  const { root, base, get } = await arrangeRoute(t)
  const cases: [string, RegExp][] = [
    [`${root}/d/.zs-part-0`, /kept for the agent/],
    [`${root}/.zstack-storage.json`, /kept for the agent/],
    [`${root}/d/missing`, /no image/],
    [`${root}/d`, /not a regular file/],
    [`${root}/d/link`, /outside the storage root/],
    [`${base}/secret`, /none of the storage roots/],
    ['etc/passwd', /none of the storage roots/],
    [`${root}/a\0`, /control character/],
  ]
  for (const [path, why] of cases) {
    const { response, body } = await get(path)
    assert.equal(response.status, 400, path)
    assert.match(body.toString(), why, path)
  }
})

test('an encoded way up is refused', async (t) => {
  const { root, imagesRoute } = await arrangeBackup(t)
  const unused = {} as Parameters<typeof imagesRoute.serve>[1]
  const request = {} as Parameters<typeof imagesRoute.serve>[2]
  for (const path of [`${root}/../secret`, '../../etc/passwd', `//${root}/x/../../y`]) {
    await assert.rejects(imagesRoute.serve({ path }, unused, request), /holds `\.\.`/)
  }
})
