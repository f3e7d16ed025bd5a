import { findOne, get, not, update } from '#db'
import { CloudError, newUuid, type SecretBox, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { addHost } from '#plugins/host/contract/messages.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { hostState, hostStatus } from '#plugins/host/contract/states.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { addKVMHost, updateKVMHost } from './contract/apis.ts'
import { kvmHost } from './contract/resources.ts'

export function handleKvmHosts(ctx: PluginContext, secrets: SecretBox): void {
  ctx.handle(addKVMHost, async (input) => {
    const { name, description, managementIp, clusterUuid, username, password, sshPort } = input
    const { zoneUuid, hypervisorType } = await get(ctx.db, cluster, clusterUuid)
    if (hypervisorType !== 'KVM') {
      const details = `the cluster ${clusterUuid} is for hosts of the hypervisor ${hypervisorType}, not KVM`
      throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'clusterUuid' } })
    }
    const uuid = input.resourceUuid ?? newUuid()
    const now = Date.now()
    const none = {
      totalCpuCapacity: 0,
      availableCpuCapacity: 0,
      totalMemoryCapacity: 0,
      availableMemoryCapacity: 0,
      cpuNum: 0,
    }
    const fresh = {
      state: hostState.enabled,
      status: hostStatus.connecting,
      createDate: now,
      lastOpDate: now,
    }
    const row = {
      uuid,
      name,
      description,
      managementIp,
      clusterUuid,
      zoneUuid,
      hypervisorType,
      ...none,
      ...fresh,
    }
    const own = { uuid, username, sshPort, sealedPassword: secrets.seal(password) }
    await createWithTags(ctx, { type: 'HostVO', uuid }, input, () =>
      ctx.bus.call(addHost, { host: row, extension: { inventory: kvmHost.inventory, row: own } }),
    )
    return { inventory: await ctx.query.view(host, uuid) }
  })

  ctx.handle(
    updateKVMHost,
    async ({ uuid, name, description, managementIp, username, password, sshPort }) => {
      requireKvm(await get(ctx.db, host, uuid))
      const own = given({
        username,
        sshPort,
        sealedPassword: password === undefined ? undefined : secrets.seal(password),
      })
      const common = given({ name, description, managementIp })
      await ctx.db.write(async (tx) => {
        if (managementIp !== undefined)
          refuseSecond(await findOne(tx, host, { managementIp, uuid: not(uuid) }))
        if (Object.keys(own).length > 0) await update(tx, kvmHost, { uuid }, own)
        await update(tx, host, { uuid }, { ...common, lastOpDate: Date.now() })
      })
      return { inventory: await ctx.query.view(host, uuid) }
    },
    { key: (input) => `host:${input.uuid}` },
  )
}

function requireKvm({ name, uuid, hypervisorType }: Host): void {
  if (hypervisorType === 'KVM') return
  const details = `the host ${name}[uuid:${uuid}] is a host of the hypervisor ${hypervisorType}, not KVM`
  throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'uuid' } })
}

function refuseSecond(other: Host | undefined): void {
  if (other === undefined) return
  const details = `the host ${other.name}[uuid:${other.uuid}] has the address ${other.managementIp} already`
  throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'managementIp' } })
}

function given<T extends Record<string, unknown>>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>
}
