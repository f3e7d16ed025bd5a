import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAuthority } from '#agent-rpc'
import { newUuid } from '#kernel'
import { ensureDaemons } from './agent-service.ts'
import { isGood, isOfAuthority } from './certificate.ts'
import { installMissing } from './debian.ts'
import { checkHost } from './host-check.ts'
import { createTestSession } from './test-session.ts'

const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64'

function hostOf(release: string, answers: { uid?: string; machine?: string; init?: string } = {}) {
  const files = { '/etc/os-release': release, '/proc/1/comm': `${answers.init ?? 'systemd'}\n` }
  return createTestSession(files, (command) => ({
    stdout: `${command === 'id -u' ? (answers.uid ?? '0') : (answers.machine ?? machine)}\n`,
  }))
}

const check = (session: ReturnType<typeof hostOf>) => checkHost(session, '10.0.0.1:22', 'root')

test('Debian and what descends from it is taken, everything else refused by name', async () => {
  const debian = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'
  assert.deepEqual(await check(hostOf(debian)), {
    distribution: 'Debian GNU/Linux 12 (bookworm)',
    hasSystemd: true,
  })
  const mint = 'NAME=\'Linux Mint\'\nID=linuxmint\nID_LIKE="ubuntu debian"\n'
  assert.deepEqual(await check(hostOf(mint, { init: 'bash' })), {
    distribution: 'linuxmint',
    hasSystemd: false,
  })
  const refused = { code: 'SYS.1006', details: /^10\.0\.0\.1:22 runs Fedora Linux 40; supported are Debian/ }
  await assert.rejects(check(hostOf('ID=fedora\nPRETTY_NAME="Fedora Linux 40"\n')), refused)
  await assert.rejects(check(hostOf('')), { details: /runs an unknown system/ })
  await assert.rejects(check(hostOf(debian, { uid: '1000' })), {
    details: /root is not root on 10\.0\.0\.1:22/,
  })
  await assert.rejects(check(hostOf(debian, { machine: 'riscv64' })), { details: /is a riscv64 machine/ })
})

const installed =
  'libatomic1 installed\nlibstdc++6 installed\nca-certificates installed\nqemu-utils config-files\n'

test('only missing packages are installed, and the index is fetched only when it does not know them', async () => {
  const told: (readonly string[])[] = []
  const complete = createTestSession({}, () => ({ stdout: installed }))
  assert.deepEqual(await installMissing(complete, ['libatomic1'], (names) => told.push(names)), [])
  assert.equal(complete.commands.length, 1)
  const stale = createTestSession({}, (command) => ({
    stdout: command.startsWith('dpkg-query') ? installed : '',
    status: command.startsWith('dpkg-query') ? 1 : command.includes('--simulate') ? 100 : 0,
  }))
  assert.deepEqual(await installMissing(stale, ['qemu-utils', 'nftables'], (names) => told.push(names)), [
    'qemu-utils',
    'nftables',
  ])
  assert.deepEqual(told, [['qemu-utils', 'nftables']])
  const tails = stale.commands.slice(1).map((command) => command.slice(command.lastIndexOf('confold') + 8))
  const install = 'install --yes --no-install-recommends qemu-utils nftables'
  assert.deepEqual(tails, [`--simulate ${install}`, 'update', install])
  const broken = createTestSession({}, (command) => ({ status: command.startsWith('env') ? 100 : 0 }))
  const details = /cannot install the packages the agent needs: .*nftables/
  await assert.rejects(
    installMissing(broken, ['nftables'], () => undefined),
    { code: 'SYS.1006', details },
  )
})

test('daemons are started where none runs, judged by the process the pid file names', async () => {
  const session = createTestSession(
    { '/run/libvirtd.pid': '12\n', '/proc/12/comm': 'libvirtd\n' },
    () => ({}),
  )
  await ensureDaemons(session, ['virtlogd', 'libvirtd'], false)
  const stale = createTestSession({ '/run/libvirtd.pid': '12\n', '/proc/12/comm': 'bash\n' }, () => ({}))
  await ensureDaemons(stale, ['libvirtd'], false)
  const systemd = createTestSession({}, () => ({}))
  await ensureDaemons(systemd, ['libvirtd'], true)
  assert.deepEqual(session.commands, ['/usr/sbin/virtlogd -d'])
  assert.deepEqual(stale.commands, ['/usr/sbin/libvirtd -d'])
  assert.deepEqual(systemd.commands, ['systemctl start libvirtd'])
})

test('a certificate does when it is ours, of this uuid and for this address', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'agent-deploy-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const authority = await createAuthority(join(dir, 'a'))
  const other = await createAuthority(join(dir, 'b'))
  const subject = { uuid: newUuid(), role: 'kvm-host', addresses: ['10.0.0.1', 'host1.example'] }
  const { cert } = await authority.issueAgent(subject)
  assert.equal(isGood(cert, authority, subject), true)
  assert.equal(isGood(cert, authority, { ...subject, uuid: newUuid() }), false)
  assert.equal(isGood(cert, authority, { ...subject, addresses: ['10.0.0.2'] }), false)
  assert.equal(isGood(cert, other, subject), false)
  assert.equal(isGood('no certificate', authority, subject), false)
  assert.equal(isOfAuthority((await other.issueAgent(subject)).cert, authority), false)
})
