/** The console page on the screen of a real QEMU: its VNC server has more to say than the one of the tests. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { waitFor } from '#kernel'
import { keepPicture, openPage, startBrowser } from './ui/browser.ts'
import { startStubCloud } from './ui/stub-cloud.ts'

const QEMU = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'
const MACHINE = process.arch === 'arm64' ? ['-M', 'virt', '-device', 'VGA'] : ['-M', 'q35', '-vga', 'std']

async function openSocket(path: string): Promise<Socket> {
  const socket = connect(path)
  await once(socket, 'connect')
  return socket
}

/** A machine without a disk: its firmware writes to the screen that it finds nothing to start. */
async function startQemu(t: TestContext): Promise<{ qemu: ChildProcess; vnc: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'console-qemu-'))
  const vnc = join(folder, 'vnc.sock')
  const options = ['-accel', 'tcg', '-m', '64', '-nodefaults', '-display', 'none', '-vnc', `unix:${vnc}`]
  const qemu = spawn(QEMU, [...MACHINE, ...options], { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(qemu, 'exit')
  t.after(async () => {
    qemu.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true })
  })
  await waitFor("QEMU's screen", async () => (await openSocket(vnc)).destroy())
  return { qemu, vnc }
}

test('a real QEMU shows its screen in the browser, and its death is told', async (t) => {
  const { qemu, vnc } = await startQemu(t)
  const cloud = await startStubCloud({ openScreen: () => openSocket(vnc) })
  t.after(() => cloud.dispose())
  const browser = await startBrowser()
  t.after(() => browser.close())
  const { page, complaints } = await openPage(browser)
  await page.goto(`${cloud.baseUrl}/ui/console.html#token=${await cloud.consoles.token()}`)
  await page.getByText('Connected', { exact: true }).waitFor()
  const lit = `(() => {
    const canvas = document.querySelector('canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    return data.filter((value, i) => i % 4 < 3 && value > 100).length
  })()`
  await waitFor('letters on the screen', async () => Number(await page.evaluate(lit)) > 500)
  await keepPicture(page, 'console-qemu')
  await page.getByRole('button', { name: 'Send Ctrl-Alt-Del' }).click()
  qemu.kill('SIGKILL')
  await page.getByText('the screen of the VM was closed on its host').waitFor()
  assert.deepEqual(complaints, [])
})
