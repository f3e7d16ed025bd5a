/** Brings both real agents to the host of its arguments, twice, asks them what they are, removes them, and prints what it saw. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildBundle, deployAgent, removeAgent } from '#agent-deploy'
import { createAgentClient, createAuthority } from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { newUuid, silentLogger } from '#kernel'

const [address = '', password = ''] = process.argv.slice(2)
const ssh = { address, sshPort: 22, username: 'root', password }
const dir = await mkdtemp(join(tmpdir(), 'real-agents-'))
try {
  const authority = await createAuthority(join(dir, 'ca'))
  const tls = await authority.issueManagement()
  const host = { role: 'kvm-host', uuid: newUuid(), port: 7070 }
  const store = { role: 'backup-storage', uuid: newUuid(), port: 7171 }
  const deploy = async ({ role, uuid, port }: typeof host) => {
    const startedAt = performance.now()
    const bundle = await buildBundle(resolve(import.meta.dirname, '../..'), role)
    const { restarted, hello } = await deployAgent({ ...ssh, uuid, port, bundle, authority })
    return { restarted, instance: hello.instance, ms: Math.round(performance.now() - startedAt) }
  }
  const clientOf = ({ uuid, port }: typeof host) =>
    createAgentClient({ address, port, uuid, tls, logger: silentLogger })
  const first = await Promise.all([deploy(host), deploy(store)])
  const again = await Promise.all([deploy(host), deploy(store)])
  const [hostClient, storeClient] = [clientOf(host), clientOf(store)]
  const facts = await hostClient.call(kvmHostCalls.hostFacts, {})
  const { vms } = await hostClient.call(kvmHostCalls.listVms, {})
  const root = '/zstack_ps/bs'
  const init = await storeClient.call(backupStorageCalls.initBackupStorage, { root, storageUuid: store.uuid })
  hostClient.close()
  storeClient.close()
  const removed = [await removeAgent({ ...ssh, ...host }), await removeAgent({ ...ssh, ...store })]
  process.stdout.write(JSON.stringify({ first, again, facts, vms, init, removed }))
} finally {
  await rm(dir, { recursive: true, force: true })
}
