import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { createPages } from './pages.ts'

type Answer = { status: number; headers: Record<string, unknown>; body: string }

/** Asks the route that covers `url` as the server would. */
async function ask(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const routes = await createPages()
  const route = routes.find(({ path }) =>
    path.endsWith('*') ? url.startsWith(path.slice(0, -1)) : path === url,
  )
  const answer: Answer = { status: 0, headers: {}, body: '' }
  const response = {
    writeHead(status: number, sent: Record<string, unknown>) {
      Object.assign(answer, { status, headers: sent })
      return response
    },
    end: (body?: Buffer | string) => {
      answer.body = body?.toString() ?? ''
    },
  }
  await route?.handler(
    { url, method, headers } as never as IncomingMessage,
    response as never as ServerResponse,
  )
  return answer
}

const uiFile = (name: string) => readFile(new URL(`../../ui/${name}`, import.meta.url), 'utf8')
const importPage = async (name: string) => import(new URL(`../../ui/${name}`, import.meta.url).href)

test('pages are served with their type and a tag that saves sending them again', async () => {
  const page = await ask('/ui/index.html?x=1')
  assert.equal(page.status, 200)
  assert.equal(page.headers['Content-Type'], 'text/html; charset=utf-8')
  assert.equal(page.body, await uiFile('index.html'))
  const again = await ask('/ui/index.html', { 'if-none-match': String(page.headers.ETag) })
  assert.deepEqual([again.status, again.body], [304, ''])
  assert.deepEqual((await ask('/ui/index.html', {}, 'HEAD')).body, '')
  assert.equal((await ask('/')).headers.Location, '/ui/index.html')
})

test('nothing but the listed files is read', async () => {
  const outside = [
    '/ui/../package.json',
    '/ui/%2e%2e/package.json',
    '/ui//etc/passwd',
    '/ui/',
    '/ui/index.html/',
  ]
  for (const url of [...outside, '/console/novnc/package.json', '/console/novnc/core/../package.json']) {
    const { status, headers } = await ask(url)
    assert.equal(status, 404, url)
    assert.match(String(headers['Content-Security-Policy']), /default-src 'none'/)
  }
})

for (const name of ['index.html', 'console.html']) {
  test(`${name} holds no inline code, and what it refers to is served`, async () => {
    const html = await uiFile(name)
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)/)
    const references = [...html.matchAll(/\s(?:src|href)="([^"]+)"/g)].map(([, url]) => String(url))
    assert.ok(references.length >= 3)
    for (const url of references) assert.equal((await ask(url)).status, 200, url)
  })

  test(`every word of ${name} is known in both languages`, async () => {
    const { languages } = await importPage('words.js')
    for (const [, word] of (await uiFile(name)).matchAll(/data-(?:label-)?word="(\w+)"/g))
      for (const language of ['en', 'zh-CN'])
        assert.ok(languages[language][String(word)], `${language} ${word}`)
  })
}

test('both languages have the same words, with the same names to fill in', async () => {
  const { languages } = await importPage('words.js')
  const own = (language: string) =>
    Object.keys(languages[language]).filter((word) => !word.startsWith('state.'))
  assert.deepEqual(own('en').sort(), own('zh-CN').sort())
  const names = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort()
  for (const word of own('en'))
    assert.deepEqual(names(languages.en[word]), names(languages['zh-CN'][word]), word)
})

test('passwords are hashed right without help of the browser, whatever their length', async () => {
  const { sha512Bytes } = await importPage('sha512.js')
  for (const length of [0, 1, 8, 111, 112, 113, 127, 128, 129, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) % 256)
    const expected = createHash('sha512').update(bytes).digest('hex')
    assert.equal(Buffer.from(sha512Bytes(bytes)).toString('hex'), expected, `${length} bytes`)
  }
})
