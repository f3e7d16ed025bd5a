/**
 * The web interface in a real browser. By default on a stub of the API with the real pages and the real console; with
 * ZSTACK_UI_URL (and ZSTACK_UI_PASSWORD) the tests that change nothing run on a real server instead.
 */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { waitFor } from '#kernel'
import { serveRfb } from '#plugins/console/cases/rfb-server.ts'
import { keepPicture, openPage, startBrowser } from './ui/browser.ts'
import { type StubCloud, startStubCloud } from './ui/stub-cloud.ts'

const realUrl = process.env.ZSTACK_UI_URL
const password = process.env.ZSTACK_UI_PASSWORD ?? 'password'
const needsStub = { skip: realUrl !== undefined && 'needs the stub API; ZSTACK_UI_URL names a real server' }
let browser: Browser
let stub: StubCloud

before(async () => {
  browser = await startBrowser()
  if (realUrl === undefined) stub = await startStubCloud()
})
after(async () => {
  await browser?.close()
  await stub?.dispose()
})

const baseUrl = () => realUrl ?? stub.baseUrl

/** A page that closes with the test, which fails when the page complained about anything. */
async function visit(t: TestContext, options?: BrowserContextOptions, url = baseUrl()): Promise<Page> {
  const { page, complaints } = await openPage(browser, options)
  t.after(async () => {
    if (stub !== undefined) stub.fault = undefined
    await page.context().close()
    assert.deepEqual(complaints, [])
  })
  await page.goto(url)
  return page
}

async function logIn(page: Page, secret = password): Promise<void> {
  await page.locator('input[name=account]').fill('admin')
  await page.locator('input[name=password]').fill(secret)
  await page.locator('input[name=password]').press('Enter')
}

const row = (page: Page, name: string) => page.getByRole('row').filter({ hasText: name })
const gone = (page: Page, what: string) => page.locator(what).waitFor({ state: 'hidden' })

test('every page carries strict headers, and nothing outside the pages is served', async () => {
  for (const path of [
    '/',
    '/ui/index.html',
    '/ui/console.html',
    '/ui/status.js',
    '/console/novnc/core/rfb.js',
  ]) {
    const { headers, status } = await fetch(baseUrl() + path, { redirect: 'manual' })
    assert.ok(status === 200 || path === '/', `${path}: ${status}`)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    const policy = headers.get('content-security-policy') ?? ''
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"])
      assert.ok(policy.includes(part), `${path}: ${policy}`)
    assert.ok(!policy.includes('unsafe'), policy)
  }
  for (const path of ['/ui/..%2fpackage.json', '/ui/nothing', '/console/novnc/package.json'])
    assert.equal((await fetch(baseUrl() + path)).status, 404, path)
})

test('a wrong password is told, a right one shows the cloud', async (t) => {
  const page = await visit(t)
  await keepPicture(page, 'login')
  await logIn(page, 'wrong')
  await page.getByRole('alert').filter({ hasText: /wrong/ }).waitFor()
  await logIn(page)
  await page.getByRole('heading', { name: 'Virtual machines' }).waitFor()
  if (password === 'password') await page.getByText('still has the default password').waitFor()
  await page.getByText(/^Updated/).waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Log in' }).waitFor()
})

test('passwords are hashed without the help of a secure context', needsStub, async (t) => {
  const page = await visit(t, {}, stub.baseUrl.replace('127.0.0.1', 'cloud.test'))
  assert.equal(await page.evaluate('isSecureContext'), false)
  await logIn(page)
  await row(page, 'web-1').waitFor()
})

test('hosts, storages, VMs and tasks are shown; names are text', needsStub, async (t) => {
  const page = await visit(t)
  await logIn(page)
  await row(page, '<img src=x onerror=alert(1)>').getByText('Migrating').waitFor()
  assert.equal(await page.locator('main img').count(), 0)
  await row(page, 'web-1').getByText('192.168.10.21, 10.1.0.5').waitFor()
  await row(page, 'web-1').getByText('2 CPU, 4 GiB').waitFor()
  await page.getByRole('progressbar', { name: 'CPU: 58 of 80 used' }).waitFor()
  await page.getByRole('progressbar', { name: 'Memory: 43.5 GiB of 64 GiB used' }).waitFor()
  await page.getByRole('progressbar', { name: 'Space: 192 GiB of 200 GiB used' }).waitFor()
  await page.getByText('downloading debian-12.qcow2').waitFor()
  await page.getByText('1 d 2 h').waitFor()
  const busy = row(page, '10.0.0.1').filter({ hasText: 'Alive' })
  await busy.getByText('12 running, 3 waiting').waitFor()
  await busy.getByText('820 ms').waitFor()
  await row(page, '10.0.0.2').getByText('Silent').waitFor()
  const calls = stub.calls.length
  await waitFor('the next refresh', () => stub.calls.length >= calls + 6)
  await keepPicture(page, 'status-light')
})

test('a VM is started, and stopped after a question', needsStub, async (t) => {
  const page = await visit(t)
  await logIn(page)
  await row(page, 'db-1').getByRole('button', { name: 'Start db-1' }).click()
  await row(page, 'db-1').getByText('Running').waitFor()
  const stop = row(page, 'db-1').getByRole('button', { name: 'Stop db-1' })
  await stop.click()
  await keepPicture(page, 'confirm')
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await gone(page, '#confirm')
  await stop.focus()
  await page.keyboard.press('Enter')
  // Asked again in the same breath: the answer to the first question is not taken for one to the second.
  await page.locator('#confirm').waitFor()
  await page.evaluate(`{
    document.querySelector('#confirm [value=no]').click()
    document.querySelector('[aria-label="Stop db-1"]').click()
  }`)
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
  await row(page, 'db-1').getByText('Stopped').waitFor()
})

test('a failed call is told with its cause and can be dismissed', needsStub, async (t) => {
  const page = await visit(t)
  await logIn(page)
  await page.getByRole('button', { name: 'Start broken' }).click()
  const told = page.getByText('no host can take VM broken: the host node-2 is disconnected')
  await told.waitFor()
  await keepPicture(page, 'failure')
  await page.getByRole('button', { name: 'Dismiss' }).click()
  await told.waitFor({ state: 'hidden' })
})

test(
  'a silent management node is told and found again; an ended session leads to the log-in',
  needsStub,
  async (t) => {
    const page = await visit(t)
    await logIn(page)
    await row(page, 'web-1').waitFor()
    stub.fault = 'hang up'
    await page.getByText('The management node does not answer').waitFor()
    await page.getByText(/^Not updated since/).waitFor()
    stub.fault = undefined
    await gone(page, '#no-answer')
    const error = { code: 'ID.1001', description: '', details: 'Session expired' }
    stub.fault = { status: 503, body: { error } }
    await page.getByText('The session is over').waitFor()
  },
)

test('the default password is changed on the page', needsStub, async (t) => {
  const page = await visit(t)
  await logIn(page)
  await page.getByRole('button', { name: 'Change password' }).click()
  const save = page.getByRole('button', { name: 'Save' })
  await page.getByLabel('New password').fill('short')
  await page.getByLabel('Repeat it').fill('short')
  await save.click()
  await page.getByText('at least 8 characters').waitFor()
  await page.getByLabel('New password').fill('a good password')
  await page.getByLabel('Repeat it').fill('a good password')
  await save.click()
  await page.getByText('The password was changed.').waitFor()
  assert.ok(stub.calls.includes('PUT /accounts/admin-uuid'))
  await gone(page, '#default-password')
})

test(
  'the console shows the screen, sends Ctrl-Alt-Del, tells its end and reconnects',
  needsStub,
  async (t) => {
    const page = await visit(t)
    await logIn(page)
    const opening = page.context().waitForEvent('page')
    await page.getByRole('button', { name: 'Open the console of web-1' }).click()
    const screen = await opening
    const tunnel = await waitFor('the tunnel', () => stub.consoles.screens.at(-1))
    const rfb = serveRfb(tunnel)
    await screen.getByText('Connected', { exact: true }).waitFor()
    assert.doesNotMatch(screen.url(), /token/)
    assert.equal(await screen.title(), 'web-1 – Console')
    const middle = `document.querySelector('canvas').getContext('2d').getImageData(160, 100, 1, 1).data.join()`
    await waitFor('the picture', async () => /^140,12\d,120,255$/.test(await screen.evaluate<string>(middle)))
    await keepPicture(screen, 'console')
    await screen.getByRole('button', { name: 'Send Ctrl-Alt-Del' }).click()
    await waitFor('the keys', () => rfb.pressedKeys.join() === [0xffe3, 0xffe9, 0xffff].join())
    tunnel.end()
    await screen.getByText('the screen of the VM was closed on its host').waitFor()
    await keepPicture(screen, 'console-ended')
    const count = stub.consoles.screens.length
    await screen.getByRole('button', { name: 'Reconnect' }).click()
    serveRfb(await waitFor('the second tunnel', () => stub.consoles.screens[count]))
    await screen.getByText('Connected', { exact: true }).waitFor()
  },
)

test('a console page without a good token says what to do', async (t) => {
  const page = await visit(t, {}, `${baseUrl()}/ui/console.html#token=${'0'.repeat(64)}`)
  await page.getByText('A console link works once and for a minute').waitFor()
  await page.getByText('Open the console again from the list').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Reconnect' }).count(), 0)
})

const looks: [name: string, options: BrowserContextOptions][] = [
  ['status-dark', { colorScheme: 'dark' }],
  ['status-narrow', { viewport: { width: 360, height: 740 } }],
  ['status-chinese', { locale: 'zh-CN' }],
  [
    'status-chinese-narrow-dark',
    { locale: 'zh-CN', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
  ],
]
for (const [name, options] of looks) {
  test(`nothing is cut off or untranslated: ${name}`, needsStub, async (t) => {
    const page = await visit(t, options)
    await logIn(page)
    await row(page, 'web-1').waitFor()
    await keepPicture(page, name)
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
    assert.equal(await page.evaluate(overflow), 0)
    if (options.locale !== 'zh-CN') return
    assert.equal(await page.evaluate('document.documentElement.lang'), 'zh-CN')
    await row(page, 'web-1').getByRole('button', { name: '打开 web-1 的控制台' }).waitFor()
    await row(page, '生产环境').getByText('未知').waitFor()
  })
}
