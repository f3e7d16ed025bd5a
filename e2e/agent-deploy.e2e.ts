/**
 * Brings an agent to a host over a real sshd. The host is a mount and pid namespace of this machine with a file system of its own
 * where agents live: all that runs in it ends with its first process.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { buildBundle, connectSsh, deployAgent, removeAgent } from '#agent-deploy'
import { type Authority, createAgentClient, createAuthority, defineAgentCall } from '#agent-rpc'
import { text } from '#contract'
import { newUuid, silentLogger, waitFor } from '#kernel'

const ADDRESS = '127.0.71.1'
const SSH_PORT = 2271
const AGENT_PORT = 7271
const repository = resolve(import.meta.dirname, '..')
const uuid = newUuid()
const whoAmI = defineAgentCall({
  name: 'echo.who',
  summary: 'Says its word.',
  input: {},
  output: { word: text('The word of its configuration.') },
})

let dir: string
let host: ChildProcess
let authority: Authority
let privateKey: string
// Only what it made itself it may remove.
let madeHostRoot = false

const mainText = (version: number) => `import { defineAgentCall, runAgentProcess } from '#agent-rpc'
import { text } from '#contract'
const who = defineAgentCall({ name: 'echo.who', summary: 'x', input: {}, output: { word: text('x') } })
await runAgentProcess({
  role: 'echo',
  calls: { who },
  assemble: async ({ config }) => ({ handlers: { who: async () => ({ word: String(config.word) + ${version} }) } }),
})
`

/** A repository with a role of its own beside the real packages. */
async function makeRoot(): Promise<string> {
  const root = join(dir, 'root')
  await mkdir(join(root, 'agents/echo'), { recursive: true })
  for (const name of ['package.json', 'package-lock.json', 'packages', 'node_modules']) {
    await symlink(join(repository, name), join(root, name))
  }
  const sources = ['packages/kernel', 'packages/contract', 'packages/agent-rpc', 'agents/echo']
  const manifest = { sources, packages: ['pino'], debianPackages: ['tar', 'openssh-server'], daemons: [] }
  await writeFile(join(root, 'agents/echo/manifest.json'), JSON.stringify(manifest))
  await writeFile(join(root, 'agents/echo/main.ts'), mainText(1))
  return root
}

function generateKey(name: string): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)])
}

async function startHost(): Promise<ChildProcess> {
  const config = [
    `ListenAddress ${ADDRESS}:${SSH_PORT}`,
    `HostKey ${dir}/hostkey`,
    'PidFile none',
    `AuthorizedKeysFile ${dir}/client.pub`,
    ...['StrictModes no', 'PermitRootLogin yes', 'UsePAM no', 'PasswordAuthentication yes'],
    ...['Subsystem sftp internal-sftp', 'UseDNS no', 'MaxStartups 100', 'LogLevel ERROR'],
  ]
  await writeFile(join(dir, 'sshd_config'), `${config.join('\n')}\n`)
  await mkdir('/run/sshd', { recursive: true })
  madeHostRoot = (await mkdir('/var/lib/zstack', { recursive: true })) !== undefined
  // An empty /root too: the login scripts of this machine are no part of the test.
  const script =
    'mount -t tmpfs tmpfs /var/lib/zstack && mount -t tmpfs tmpfs /root && ' +
    'exec /usr/sbin/sshd -D -e -f "$1"'
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--']
  const argv = [...namespaces, 'sh', '-c', script, 'sh', join(dir, 'sshd_config')]
  const child = spawn('unshare', argv, { stdio: ['ignore', 'inherit', 'inherit'] })
  await waitFor('sshd', async () => {
    const ssh = await connectSsh(target())
    ssh.close()
    return true
  })
  return child
}

function target() {
  return { address: ADDRESS, sshPort: SSH_PORT, username: 'root', privateKey }
}

async function deploy(root: string, more: { word?: string; hostKey?: string; forgetEpoch?: boolean } = {}) {
  const bundle = await buildBundle(root, 'echo')
  const config = { word: more.word ?? 'first' }
  const steps: string[] = []
  const deployment = await deployAgent({
    ...{ ...target(), uuid, bundle, port: AGENT_PORT, authority, config, ...more },
    onProgress: (step) => steps.push(step),
  })
  return { ...deployment, steps, bundle }
}

async function askWord(epoch = 0): Promise<string> {
  const tls = await authority.issueManagement()
  const agent = { address: ADDRESS, port: AGENT_PORT, uuid, tls, logger: silentLogger }
  const client = createAgentClient({ ...agent, epoch: () => epoch })
  try {
    return (await client.call(whoAmI, {})).word
  } finally {
    client.close()
  }
}

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'agent-deploy-e2e-'))
  authority = await createAuthority(join(dir, 'ca'))
  for (const name of ['hostkey', 'client', 'stranger']) generateKey(name)
  privateKey = await readFile(join(dir, 'client'), 'utf8')
  host = await startHost()
})

after(async () => {
  const ended = new Promise((done) => host.once('exit', done))
  host.kill('SIGKILL')
  await ended
  if (madeHostRoot) await rmdir('/var/lib/zstack')
  await rm(dir, { recursive: true, force: true })
})

test('an agent is brought, left alone, configured anew, upgraded and removed', async () => {
  const root = await makeRoot()
  const first = await deploy(root)
  assert.equal(first.restarted, true)
  assert.match(first.hostKey, /^SHA256:[\w+/]{43}$/)
  assert.equal(first.hello.bundleHash, first.bundle.hash)
  assert.equal(await askWord(), 'first1')

  const { hostKey } = first
  const again = await deploy(root, { hostKey })
  assert.deepEqual([again.restarted, again.hello.instance], [false, first.hello.instance])

  const configured = await deploy(root, { hostKey, word: 'second' })
  assert.deepEqual([configured.restarted, await askWord()], [true, 'second1'])

  await writeFile(join(root, 'agents/echo/main.ts'), mainText(2))
  const upgraded = await deploy(root, { hostKey, word: 'second' })
  assert.deepEqual([upgraded.restarted, await askWord()], [true, 'second2'])
  assert.notEqual(upgraded.hello.bundleHash, first.hello.bundleHash)

  const ssh = await connectSsh(target())
  const pids = await ssh.check(['pgrep', '-f', 'agents/echo/main.ts run'])
  assert.equal(pids.trim(), String(upgraded.hello.pid), 'the old agent has ended')
  const modes = await ssh.check(['stat', '-c', '%a', ...['pki/agent.key.pem', 'agent.json', ''].map(inHome)])
  assert.equal(modes, '600\n600\n700\n')

  ssh.close()
})

const inHome = (name: string) => `/var/lib/zstack/agent/echo/${name}`

test('a management of an older epoch is shut out until a deployment tells the agent to forget', async () => {
  const root = join(dir, 'root')
  const config = { word: 'second' }
  assert.equal(await askWord(12), 'second2')
  const stale = { code: 'CLUSTER.1001', details: /epoch 3 .* epoch 12/ }
  await assert.rejects(askWord(3), stale)
  await deploy(root, { word: 'third' })
  await assert.rejects(askWord(3), stale, 'an ordinary deployment makes it forget')
  const taken = await deploy(root, { word: 'third', forgetEpoch: true })
  assert.deepEqual([taken.restarted, await askWord(3)], [true, 'third2'])
  await assert.rejects(askWord(2), { code: 'CLUSTER.1001' })
  await deploy(root, { ...config, forgetEpoch: true })
})

test('an agent of another management is not taken over', async () => {
  const own = authority
  try {
    authority = await createAuthority(join(dir, 'ca2'))
    const details = new RegExp(`agent of another management \\(it serves ${uuid}\\)`)
    await assert.rejects(deploy(join(dir, 'root')), { code: 'SYS.1006', details })
  } finally {
    authority = own
  }
})

test('an agent that cannot start leaves its reason in the log, and a deployment can be cancelled', async (t) => {
  const squatter = createServer((socket) => socket.destroy())
  await new Promise<void>((done) => squatter.listen(0, ADDRESS, done))
  t.after(() => squatter.close())
  const { port } = squatter.address() as AddressInfo
  const ssh = await connectSsh(target())
  t.after(() => ssh.close())
  const controller = new AbortController()
  const bundle = await buildBundle(join(dir, 'root'), 'echo')
  const attempt = deployAgent({ ...target(), uuid, bundle, port, authority, signal: controller.signal })
  // Awaited below; until then its end must not count as unhandled.
  attempt.catch(() => undefined)
  await waitFor('the log to tell', async () => {
    const log = await ssh.files.readText(inHome('agent.log'))
    return log?.includes(`cannot listen on ${ADDRESS}:${port}`)
  })
  controller.abort()
  await assert.rejects(attempt, { code: 'SYS.1017', details: /was cancelled; a repeat goes on from here/ })
})

test('removal stops the agent of that uuid only, and leaves nothing', async () => {
  await deploy(join(dir, 'root'))
  const ssh = await connectSsh(target())
  const remove = (of: string) => removeAgent({ ...target(), role: 'echo', uuid: of })
  assert.deepEqual(await remove(newUuid()), { removed: false })
  assert.equal(await askWord(), 'first2')
  assert.deepEqual(await remove(uuid), { removed: true })
  await assert.rejects(askWord(), { code: 'SYS.1016', details: /connection refused/ })
  assert.equal((await ssh.check(['find', '/var/lib/zstack', '-type', 'f'])).trim(), '')
  assert.deepEqual(await remove(uuid), { removed: false })
  ssh.close()
})

test('each way of not getting in has its own words', async () => {
  const stranger = await readFile(join(dir, 'stranger'), 'utf8')
  await assert.rejects(connectSsh({ ...target(), privateKey: stranger }), {
    code: 'SYS.1006',
    details: /127\.0\.71\.1:2271 refused the login of root: wrong password or key/,
  })
  const { privateKey: _key, ...bare } = target()
  await assert.rejects(connectSsh({ ...bare, password: 'wrong' }), {
    code: 'SYS.1006',
    details: /refused the login/,
  })
  await assert.rejects(connectSsh({ ...target(), privateKey: 'nonsense' }), {
    code: 'SYS.1007',
    details: /private key for root .* cannot be used/,
  })
  await assert.rejects(connectSsh({ ...target(), sshPort: 1 }), {
    code: 'SYS.1016',
    details: /no SSH server listens/,
  })
  const known = 'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
  await assert.rejects(connectSsh({ ...target(), hostKey: known }), {
    code: 'SYS.1006',
    details: new RegExp(`host key of 127.0.71.1:2271 changed: known ${known}, shown SHA256:`),
  })
})

test('commands carry any argument, tell their status and their last words, and end at their limit', async () => {
  const ssh = await connectSsh(target())
  const nasty = ["it's; $(id) `id`", '*', '', 'a\nb', '"', '\\']
  assert.equal(await ssh.check(['printf', '%s|', ...nasty]), `${nasty.join('|')}|`)
  assert.equal((await ssh.run(['false'])).status, 1)
  await assert.rejects(ssh.check(['ls', '/nowhere']), {
    code: 'SYS.1006',
    details: /ls failed .* status 2: .*nowhere/,
  })
  await assert.rejects(ssh.run(['sleep', '30'], { timeoutMs: 50 }), {
    code: 'SYS.1001',
    details: /sleep did not end/,
  })
  await ssh.files.write('/var/lib/zstack/a file', 'text', 0o600)
  assert.equal(await ssh.check(['cat', '/var/lib/zstack/a file']), 'text')
  const cut = ssh.run(['sleep', '30'])
  ssh.close()
  await assert.rejects(cut, { code: 'SYS.1016', details: /running sleep failed/ })
})
