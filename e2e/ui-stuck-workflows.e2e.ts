/** Stuck work on the status page of a whole cloud on simulated hosts, in a real browser. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { createHttpServer } from '#http'
import { silentLogger } from '#kernel'
import { upgradeRoute, webRoute } from '#plugin-host'
import { type StuckScene, startStuckCloud } from '#plugins/workflow/cases/stuck-scene.ts'
import { keepPicture, openPage, startBrowser } from './ui/browser.ts'

async function serve(t: TestContext): Promise<{ scene: StuckScene; baseUrl: string; browser: Browser }> {
  const scene = await startStuckCloud(t)
  const { dispatcher, jobs, context } = scene.cloud.cloud
  const server = createHttpServer({
    log: silentLogger,
    dispatcher,
    jobs,
    staticRoutes: context.hooks(webRoute),
    upgradeRoutes: context.hooks(upgradeRoute),
  })
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => server.dispose())
  const browser = await startBrowser()
  t.after(() => browser.close())
  return { scene, baseUrl: `http://127.0.0.1:${port}`, browser }
}

async function enter(browser: Browser, url: string, options?: BrowserContextOptions): Promise<Page> {
  const { page } = await openPage(browser, options)
  await page.goto(url)
  await page.locator('input[name=password]').fill('password')
  await page.locator('input[name=password]').press('Enter')
  return page
}

test('stuck work is shown with its reason; a retry says why it still fails, and clears it when the host is back', async (t) => {
  const { scene, baseUrl, browser } = await serve(t)
  const page = await enter(browser, baseUrl)
  const row = page.getByRole('row').filter({ hasText: 'vm.create' })
  await row.getByText('the host is away (on the host host1)').waitFor()
  await row.getByText(/^It was rolled back because: .*the light went out/).waitFor()
  await row.getByText(/^\d+ s$/).waitFor()
  await page.getByText(/^Updated/).waitFor()
  await keepPicture(page, 'stuck')
  await row.getByRole('button', { name: 'Retry' }).click()
  await page.getByText(/^Retry taking back vm\.create failed: step boot of vm\.create still cannot/).waitFor()
  scene.hostsAreBack()
  await row.getByRole('button', { name: 'Retry' }).click()
  await page.getByText('vm.create was taken back; nothing of it is left.').waitFor()
  await page.getByRole('heading', { name: 'Stuck work' }).waitFor({ state: 'hidden' })
})

test('abandoning asks first and tells what is left, in Chinese as well', async (t) => {
  const { baseUrl, browser, scene } = await serve(t)
  const page = await enter(browser, baseUrl, { locale: 'zh-CN' })
  const row = page.getByRole('row').filter({ hasText: 'vm.create' })
  await page.getByRole('heading', { name: '卡住的操作' }).waitFor()
  await row.getByRole('button', { name: '放弃' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText(/^放弃 vm\.create？.*boot/).waitFor()
  await keepPicture(page, 'stuck-zh')
  await dialog.getByRole('button', { name: '取消' }).click()
  assert.equal((await scene.cloud.cloud.context.workflows.unfinished()).length, 1)
  await row.getByRole('button', { name: '放弃' }).click()
  await dialog.getByRole('button', { name: '放弃' }).click()
  await page.getByText(/^已放弃 vm\.create。残留的步骤：boot/).waitFor()
  await row.waitFor({ state: 'hidden' })
  assert.deepEqual(await scene.cloud.cloud.context.workflows.unfinished(), [])
})
