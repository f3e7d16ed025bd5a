import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import type { CallContext } from '#agent-rpc'
import { createBridgeHandlers } from '#agents/kvm-host/network/bridge.ts'
import type { NetworkArea } from '#agents/kvm-host/network/create-network-handlers.ts'
import { listenInNamespace } from '#agents/kvm-host/network/netns-socket.ts'
import type { Run } from '#agents/kvm-host/network/run-command.ts'
import { waitFor } from '#kernel'
import { NetworkLab } from './network-lab.ts'

const context: CallContext = {
  callId: 'c',
  taskId: undefined,
  epoch: 0,
  signal: new AbortController().signal,
  progress() {},
}
const call = { bridge: 'br_eth0', physicalInterface: 'eth0', l2NetworkUuid: 'a'.repeat(32) }

describe('bridge on an interface', { skip: process.getuid?.() === 0 ? false : 'needs root' }, () => {
  let lab: NetworkLab
  let agent: NetworkArea
  let host: Run
  let untouched: string

  before(async () => {
    lab = await NetworkLab.create('znb')
    agent = lab.agent('A')
    host = lab.host('A')
    await host(['ip', 'addr', 'add', '2001:db8::1/64', 'dev', 'eth0', 'nodad'])
    await host(['ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::fe', 'dev', 'eth0'])
    await host(['ip', 'link', 'set', 'dev', 'eth0', 'mtu', '1400'])
    untouched = await lab.snapshot('A')
  })

  after(() => lab.scope.dispose())

  it('moves addresses and routes to the bridge while a session goes on', async () => {
    const server = createServer((socket) => socket.pipe(socket))
    lab.scope.onDispose(() => void server.close())
    const fd = listenInNamespace('/run/netns/znbA', '10.97.0.1', 7000)
    await new Promise<void>((resolve) => server.listen({ fd }, resolve))
    const nc = ['--net=/run/netns/znbU', 'busybox', 'nc', '10.97.0.1', '7000']
    const { child, output } = lab.start('nsenter', nc)
    const echo = async (word: string) => {
      child.stdin.write(`${word}\n`)
      await waitFor(`the echo of ${word}`, () => output().includes(word), { timeoutMs: 4000 })
    }
    await echo('first')
    const created = await agent.handlers.createBridge(call, context)
    await echo('second')
    assert.deepEqual(created, { created: true })
    const routes = (await host(['ip', 'route'])).stdout
    assert.match(routes, /^default via 10\.97\.0\.254 dev br_eth0 metric 7/m)
    assert.doesNotMatch(routes, /dev eth0/)
    const ipv6 = (await host(['ip', '-6', 'route'])).stdout
    assert.match(ipv6, /^default via 2001:db8::fe dev br_eth0/m)
    assert.match((await host(['ip', 'link', 'show', 'dev', 'br_eth0'])).stdout, /mtu 1400/)
    assert.deepEqual(await agent.handlers.createBridge(call, context), { created: false })
    await agent.handlers.deleteBridge(call, context)
    await echo('third')
    assert.equal(await lab.snapshot('A'), untouched)
    child.kill('SIGKILL')
  })

  it('puts everything back when the move fails', async () => {
    const failing = createBridgeHandlers((argv, options) => {
      // The last line of the move is one the kernel refuses.
      const input =
        argv.includes('-batch') && !argv.includes('-force')
          ? `${options?.input}link set nodev up\n`
          : options?.input
      return host(argv, input === undefined ? options : { ...options, input })
    })
    await assert.rejects(failing.createBridge(call, context), /everything was put back/)
    assert.equal(await lab.snapshot('A'), untouched)
  })

  it('completes a move that was cut short', async () => {
    const cut = [
      'link add br_eth0 type bridge',
      'link set eth0 master br_eth0',
      'addr add 10.97.0.1/24 brd + dev br_eth0',
    ]
    await host(['ip', '-batch', '-'], { input: `${cut.join('\n')}\n` })
    await agent.handlers.createBridge(call, context)
    assert.equal((await host(['ip', '-4', '-br', 'addr', 'show', 'dev', 'eth0'])).stdout, '')
    assert.match((await host(['ip', '-br', 'addr', 'show', 'dev', 'br_eth0'])).stdout, /10\.97\.0\.1\/24/)
    await host(['ping', '-c1', '-W2', '10.97.0.254'])
    await agent.handlers.deleteBridge(call, context)
    assert.equal(await lab.snapshot('A'), untouched)
  })

  it('refuses what is not there, belongs to another bridge or is in use', async () => {
    const missing = { ...call, physicalInterface: 'eth9' }
    await assert.rejects(agent.handlers.createBridge(missing, context), /interface eth9 does not exist/)
    await agent.handlers.createBridge(call, context)
    const other = { ...call, bridge: 'br_other' }
    await assert.rejects(agent.handlers.createBridge(other, context), /eth0 belongs to br_eth0 already/)
    await host(['ip', 'link', 'set', 'dev', 'eth1', 'master', 'br_eth0'])
    await assert.rejects(agent.handlers.deleteBridge(call, context), /br_eth0 is in use by eth1/)
    await host(['ip', 'link', 'set', 'dev', 'eth1', 'nomaster'])
    assert.deepEqual(await agent.handlers.deleteBridge(call, context), { deleted: true })
    assert.deepEqual(await agent.handlers.deleteBridge(call, context), { deleted: false })
    assert.equal(await lab.snapshot('A'), untouched)
  })
})
