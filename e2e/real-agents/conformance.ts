/** The conformance suites on the lab of the environment; runs in its switch. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildBundle, deployAgent } from '#agent-deploy'
import {
  type AgentEvent,
  type Authority,
  createAgentClient,
  createAuthority,
  type RemoteAgent,
} from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import { backupStorageConformance } from '#agents/conformance/backup-storage-conformance.ts'
import { kvmHostConformance } from '#agents/conformance/kvm-host-conformance.ts'
import { conformanceStorageUuid } from '#agents/conformance/kvm-host-fixture.ts'
import { newUuid, Scope, silentLogger, waitFor } from '#kernel'
import { createLab, type LabHost } from '#lab/lab.ts'
import { serveImage } from '../support/serve-image.ts'

const lab = createLab({ name: process.env.CONFORMANCE_LAB ?? '' })
const MiB = 2 ** 20

/** An agent of this role on host1, reached as the management reaches it. */
async function deploy(scope: Scope, role: 'kvm-host' | 'backup-storage', port: number): Promise<Deployed> {
  const { address, user, password } = lab.host('host1')
  const ca = await theAuthority(scope)
  const uuid = newUuid()
  const bundle = await buildBundle(resolve(import.meta.dirname, '../..'), role)
  const ssh = { address, sshPort: 22, username: user, password }
  await deployAgent({ ...ssh, uuid, port, bundle, authority: ca })
  const tls = await ca.issueManagement()
  const clientAt = (epoch: number) => {
    const target = { address, port, uuid, tls, logger: silentLogger }
    const client = createAgentClient({ ...target, epoch: () => epoch })
    scope.add({ dispose: () => client.close() })
    return client
  }
  return { client: clientAt(0), clientAt }
}

interface Deployed {
  readonly client: RemoteAgent
  clientAt(epoch: number): RemoteAgent
}

let authority: Promise<Authority> | undefined

/** One for both agents: they have to trust each other. */
function theAuthority(scope: Scope): Promise<Authority> {
  authority ??= (async () => {
    const dir = await mkdtemp(join(tmpdir(), 'zs-conformance-'))
    scope.add({ dispose: () => rm(dir, { recursive: true, force: true }) })
    return createAuthority(join(dir, 'ca'))
  })()
  return authority
}

let imageServer: Promise<Deployed> | undefined

function deployImageServer(scope: Scope): Promise<Deployed> {
  imageServer ??= deploy(scope, 'backup-storage', 7171)
  return imageServer
}

/** Brings the guest's image to the image server, as AddImage would. */
async function bringImage(server: RemoteAgent, root: string) {
  const http = await serveImage(lab)
  try {
    await server.call(backupStorageCalls.initBackupStorage, { root, storageUuid: conformanceStorageUuid })
    const imagePath = `${root}/guest/guest.qcow2`
    const wanted = { expectedFormat: 'qcow2' as const, maxBytes: 2 ** 30, filePrefixes: [] }
    const found = await server.call(backupStorageCalls.downloadImage, {
      ...{ ...wanted, url: http.url, imagePath, allowPrivateAddresses: true },
    })
    return { ...found, imagePath }
  } finally {
    await http.stop()
  }
}

/** Resolves when the guest has told on its serial port that it is up, once more than it was switched off. */
function guestIsUp(host: LabHost, events: readonly AgentEvent[], vmUuid: string): Promise<unknown> {
  const isOff = ({ name, data }: AgentEvent) =>
    name === 'vm.state' && data.vmUuid === vmUuid && data.state === 'Stopped'
  const boots = events.filter(isOff).length + 1
  const argv = ['grep', '-ac', 'GUEST-READY', `/var/log/zstack-vm/${vmUuid}.log`]
  const ask = async () => Number((await host.exec(argv, { allowFailure: true })).stdout) >= boots
  return waitFor(`the guest of ${vmUuid} to be up`, ask, { timeoutMs: 90_000, intervalMs: 100 })
}

const scope = new Scope()

kvmHostConformance('real', async () => {
  const host = lab.host('host1')
  const [{ client: agent, clientAt }, { client: server }] = await Promise.all([
    deploy(scope, 'kvm-host', 7070),
    deployImageServer(scope),
  ])
  const image = await bringImage(server, '/zstack_ps/images')
  const events: AgentEvent[] = []
  scope.add(agent.events((event) => void events.push(event)))
  return {
    client: agent,
    clientAt,
    subscribe: (listener) => agent.events(listener),
    storageRoot: '/zstack_ps/conformance',
    physicalInterface: 'eth1',
    image: {
      source: { address: host.address, port: 7171, path: image.imagePath },
      format: 'qcow2',
      sizeBytes: image.actualSizeBytes,
      virtualSizeBytes: image.virtualSizeBytes,
      sha256: image.sha256,
    },
    acceleration: 'tcg',
    memoryBytes: 128 * MiB,
    guestReady: async (vmUuid) => void (await guestIsUp(host, events, vmUuid)),
    // The lab goes with all that may be left in it.
    dispose: async () => {},
  }
})

backupStorageConformance('real', async () => {
  const { client: server, clientAt } = await deployImageServer(scope)
  const found = await bringImage(server, '/zstack_ps/images')
  const http = await serveImage(lab)
  scope.add({ dispose: () => http.stop() })
  const { virtualSizeBytes, actualSizeBytes, sha256 } = found
  const gate = { allowPrivateAddresses: true, filePrefixes: [] }
  return {
    client: server,
    clientAt,
    root: '/zstack_ps/conformance-bs',
    image: { url: http.url, ...gate, virtualSizeBytes, actualSizeBytes, sha256 },
    missingUrl: http.urlOf('missing.qcow2'),
    dispose: () => scope.dispose(),
  }
})
