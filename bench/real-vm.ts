import { parseArgs } from 'node:util'
import { type Client, createClient } from '#client'
import { newUuid } from '#kernel'
import { createLab, type LabHost } from '#lab/lab.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { labName } from '#server/commands/up.ts'
import { apiUrl } from '#server/instance.ts'
import { formatTable } from './table.ts'

const usage = `usage: ./zstack bench real-vm [--count N] [--json]

Times CreateVmInstance from the call to Running against a bare virsh create of the same guest (same domain XML, same overlay on the
same cached image, made by qemu-img) on the same host, in turns. Needs a cloud made by ./zstack up.
`

interface Round {
  readonly apiMs: number
  readonly bareMs: number
}

/** Create-to-running of a real VM through the whole cloud, as a multiple of what libvirt alone takes. */
export const realVm = {
  summary: 'create a real VM against a bare virsh create of the same guest',
  run: async (args: readonly string[]): Promise<void> => {
    const options = {
      count: { type: 'string', default: '10' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    } as const
    const { values } = parseArgs({ args: [...args], options })
    if (values.help) return void process.stdout.write(usage)
    const client = createClient({ baseUrl: apiUrl })
    await client.logIn('admin', process.env.ZSTACK_ADMIN_PASSWORD ?? 'password')
    const rounds: Round[] = []
    const setup = await model(client)
    for (let i = 0; i < Number(values.count); i += 1) {
      rounds.push(await measure(client, setup))
      process.stderr.write(`\r  round ${i + 1} of ${values.count}`)
    }
    process.stderr.write('\n')
    report(rounds, values.json)
  },
}

interface Model {
  readonly input: {
    instanceOfferingUuid: string
    imageUuid: string
    l3NetworkUuids: string[]
    hostUuid: string
  }
  readonly host: LabHost
}

/** The demo's VM tells what to create; the host is fixed so that both ways use the same one. */
async function model(client: Client): Promise<Model> {
  const [vm] = (await client.query(queryVmInstance, ['name=first-vm', 'state=Running'])).inventories
  if (vm === undefined) throw new Error('there is no running first-vm; start the cloud with ./zstack up')
  const hostUuid = String(vm.hostUuid)
  const [host] = (await client.query(queryHost, [`uuid=${hostUuid}`])).inventories
  const l3NetworkUuids = (vm.vmNics as { l3NetworkUuid: string }[]).map((nic) => nic.l3NetworkUuid)
  const input = {
    instanceOfferingUuid: String(vm.instanceOfferingUuid),
    imageUuid: String(vm.imageUuid),
    l3NetworkUuids,
    hostUuid,
  }
  return { input, host: createLab({ name: labName }).host(String(host?.name)) }
}

async function measure(client: Client, { input, host }: Model): Promise<Round> {
  const begun = performance.now()
  const { inventory } = await client.call(createVmInstance, { name: 'bench', ...input })
  const apiMs = performance.now() - begun
  const uuid = String(inventory.uuid)
  try {
    return { apiMs, bareMs: await bareCreate(host, uuid) }
  } finally {
    await client.call(destroyVmInstance, { uuid })
    await client.call(expungeVmInstance, { uuid })
  }
}

/** The same guest without the cloud: the running domain's XML under another name, its disk a fresh overlay on the same image. */
async function bareCreate(host: LabHost, vmUuid: string): Promise<number> {
  const { stdout } = await host.exec(['virsh', 'dumpxml', vmUuid])
  const disk = /<source file='([^']+\.qcow2)'/.exec(stdout)?.[1] ?? ''
  const backing = (await host.exec(['qemu-img', 'info', '-U', '--output=json', disk])).stdout
  const image = String((JSON.parse(backing) as { 'full-backing-filename': string })['full-backing-filename'])
  const name = newUuid()
  const copy = `/zstack_ps/bare-${name}.qcow2`
  const file = `/zstack_ps/bare-${name}.xml`
  const dashed = name.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  const xml = stdout
    .replace(/ id='\d+'/, '')
    .replace(/<name>.*?<\/name>/, `<name>${name}</name>`)
    .replace(/<uuid>.*?<\/uuid>/, `<uuid>${dashed}</uuid>`)
    .replaceAll(disk, copy)
    .replace(/<mac address='[^']+'\/>/, "<mac address='fa:00:00:00:be:01'/>")
    .replace(/<target dev='vnic[^']*'\/>/, "<target dev='bare0'/>")
    .replace(/<channel type='unix'>[\s\S]*?<\/channel>/g, '')
    .replace(/<graphics [\s\S]*?<\/graphics>/, "<graphics type='vnc'><listen type='socket'/></graphics>")
    .replace(/<backingStore[\s\S]*?<\/backingStore>\s*(?=<target)/g, '')
    .replace(/<serial [\s\S]*?<\/serial>/g, '')
    .replace(/<console [\s\S]*?<\/console>/g, '')
  await host.exec(['tee', file], { input: xml })
  try {
    const begun = performance.now()
    await host.exec(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', image, copy])
    await host.exec(['virsh', '-q', 'create', file])
    return performance.now() - begun
  } finally {
    await host.exec(['virsh', '-q', 'destroy', name], { allowFailure: true })
    await host.exec(['rm', '-f', copy, file])
  }
}

function report(rounds: readonly Round[], json: boolean): void {
  const api = median(rounds.map((r) => r.apiMs))
  const bare = median(rounds.map((r) => r.bareMs))
  const ratio = api / bare
  if (json) {
    process.stdout.write(`${JSON.stringify({ rounds, medianApiMs: api, medianBareMs: bare, ratio })}\n`)
    return
  }
  const lines = [
    ['', 'median ms', 'lowest', 'highest'],
    row(
      'CreateVmInstance to Running',
      rounds.map((r) => r.apiMs),
    ),
    row(
      'qemu-img create + virsh create',
      rounds.map((r) => r.bareMs),
    ),
  ]
  process.stdout.write(`${formatTable(lines)}\n\nratio ${ratio.toFixed(2)} (aim: at most 1.5)\n`)
}

function row(name: string, times: readonly number[]): string[] {
  return [name, ...[median(times), Math.min(...times), Math.max(...times)].map((ms) => ms.toFixed(0))]
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
