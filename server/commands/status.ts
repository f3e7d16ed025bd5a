import { createClient } from '#client'
import { describeError } from '#kernel'
import { createLab } from '#lab/lab.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { getVersion } from '#plugins/management-node/contract/apis.ts'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { queryWorkflow } from '#plugins/workflow/contract/apis.ts'
import { apiUrl, presentInstances, runningPid } from '../instance.ts'
import { labName } from './up.ts'

/** `./zstack status`: what runs, in a few lines. Exit code 3 when the management node does not. */
export async function status(): Promise<void> {
  const running = presentInstances().find((instance) => runningPid(instance) !== undefined)
  if (running === undefined) {
    process.stdout.write('management  not running; start it with ./zstack up\n')
    process.exitCode = 3
  } else {
    process.stdout.write(`management  ${running.mode}, pid ${runningPid(running)}, log ${running.logFile}\n`)
    await tellCloud()
  }
  if (process.getuid?.() !== 0) return
  const lab = await createLab({ name: labName }).status()
  for (const host of lab.hosts)
    process.stdout.write(`lab host    ${host.name} ${host.address} ${host.state}\n`)
}

async function tellCloud(): Promise<void> {
  const client = createClient({ baseUrl: apiUrl })
  const out = (line: string) => process.stdout.write(`${line}\n`)
  try {
    out(`api         ${apiUrl}/zstack/v1, version ${(await client.call(getVersion, {})).version}`)
    await client.logIn('admin', process.env.ZSTACK_ADMIN_PASSWORD ?? 'password')
    const hosts = await client.query(queryHost)
    for (const h of hosts.inventories) out(`host        ${h.name} ${h.managementIp} ${h.state} ${h.status}`)
    const vms = await client.query(queryVmInstance)
    for (const vm of vms.inventories) {
      const [nic] = vm.vmNics as { ip?: string }[]
      out(`vm          ${vm.name} ${vm.state} ${nic?.ip ?? ''}`)
    }
    const stuck = await client.query(queryWorkflow, ['state=Stuck'], { limit: 1, replyWithCount: true })
    const look = stuck.total === 0 ? '' : '; see ./zstack cli -t QueryWorkflow state=Stuck'
    out(`workflows   ${stuck.total} stuck${look}`)
  } catch (error) {
    out(`api         ${describeError(error)}`)
  }
}
