/** The web interface in a real browser on a whole cloud: real server, real API doors, simulated hosts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHttpServer } from '#http'
import { silentLogger } from '#kernel'
import { upgradeRoute, webRoute } from '#plugin-host'
import { consolePlugin } from '#plugins/console/plugin.ts'
import { uiPlugin } from '#plugins/ui/plugin.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { allPlugins } from '#server/plugins.ts'
import { buildDataCenter, createTestCloud } from '#testkit'
import { keepPicture, openPage, startBrowser } from './ui/browser.ts'

async function startCloud() {
  const test = await createTestCloud({
    plugins: (simulator) => [...allPlugins(simulator), consolePlugin, uiPlugin],
  })
  const dataCenter = await buildDataCenter(test, { hosts: 2 })
  await test.call(createVmInstance, {
    name: 'vm-1',
    instanceOfferingUuid: dataCenter.instanceOffering,
    imageUuid: dataCenter.image,
    l3NetworkUuids: [dataCenter.l3],
  } as never)
  const { dispatcher, jobs, context } = test.cloud
  const server = createHttpServer({
    log: silentLogger,
    dispatcher,
    jobs,
    staticRoutes: context.hooks(webRoute),
    upgradeRoutes: context.hooks(upgradeRoute),
  })
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  const dispose = async () => {
    await server.dispose()
    await test.dispose()
  }
  return { baseUrl: `http://127.0.0.1:${port}`, dispose }
}

test('log in, stop and start a VM, open its console, on a cloud of simulated hosts', async (t) => {
  const cloud = await startCloud()
  t.after(() => cloud.dispose())
  const browser = await startBrowser()
  t.after(() => browser.close())
  const { page, complaints } = await openPage(browser)
  await page.goto(cloud.baseUrl)
  await page.getByLabel('Password', { exact: true }).fill('wrong')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText('Account or password is wrong.').waitFor()
  await page.getByLabel('Password', { exact: true }).fill('password')
  await page.getByRole('button', { name: 'Log in' }).click()

  const vm = page.getByRole('row').filter({ hasText: 'vm-1' })
  await vm.getByText('Running').waitFor()
  await vm.getByText('10.99.').waitFor()
  await vm.getByText(/^host[12]$/).waitFor()
  await page.getByRole('progressbar', { name: 'Memory: 128 MiB of 64 GiB used' }).waitFor()
  await page.getByText(/^Updated/).waitFor()
  await keepPicture(page, 'simulators')

  const opening = page.context().waitForEvent('page')
  await vm.getByRole('button', { name: 'Console' }).click()
  const screen = await opening
  await screen.getByText('VM vm-1 is simulated: it has no screen').waitFor()
  await screen.close()

  await vm.getByRole('button', { name: 'Stop' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
  await vm.getByText('Stopped').waitFor()
  await vm.getByRole('button', { name: 'Start' }).click()
  await vm.getByText('Running').waitFor()

  await page.getByRole('button', { name: 'Change password' }).click()
  await page.getByLabel('New password').fill('a good password')
  await page.getByLabel('Repeat it').fill('a good password')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('The password was changed.').waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Password', { exact: true }).fill('a good password')
  await page.getByRole('button', { name: 'Log in' }).click()
  await vm.waitFor()
  assert.equal(await page.getByText('still has the default password').isVisible(), false)
  assert.deepEqual(complaints, [])
})
