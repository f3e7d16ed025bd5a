import { get } from '#db'
import { CloudError, newUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { addBackupStorage } from '#plugins/backup-storage/contract/messages.ts'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { cpuOverProvisioning } from '#plugins/host/contract/configs.ts'
import { addHost } from '#plugins/host/contract/messages.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { addPrimaryStorage } from '#plugins/primary-storage/contract/messages.ts'
import { primaryStorage } from '#plugins/primary-storage/contract/resources.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { addSimulatorBackupStorage, addSimulatorHost, addSimulatorPrimaryStorage } from './contract/apis.ts'

export const hostType = 'Simulator'
export const primaryStorageType = 'SimulatorPrimaryStorage'
export const backupStorageType = 'SimulatorBackupStorage'

export function handleSimulators(ctx: PluginContext): void {
  ctx.handle(addSimulatorHost, async (input) => {
    const { name, description, managementIp, clusterUuid, memoryCapacity, cpuCapacity } = input
    const { zoneUuid, hypervisorType } = await get(ctx.db, cluster, clusterUuid)
    if (hypervisorType !== hostType) {
      const details = `the cluster ${clusterUuid} is for hosts of the hypervisor ${hypervisorType}, not ${hostType}`
      throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'clusterUuid' } })
    }
    const common = newRow(input)
    const cpuNum = Math.max(1, Math.round(cpuCapacity / ctx.config.get(cpuOverProvisioning)))
    const capacity = {
      totalCpuCapacity: cpuCapacity,
      availableCpuCapacity: cpuCapacity,
      totalMemoryCapacity: memoryCapacity,
      availableMemoryCapacity: memoryCapacity,
      cpuNum,
    }
    const row = {
      ...common,
      name,
      description,
      managementIp,
      clusterUuid,
      zoneUuid,
      hypervisorType,
      ...capacity,
      status: 'Connecting',
    }
    await createWithTags(ctx, { type: 'HostVO', uuid: row.uuid }, input, () =>
      ctx.bus.call(addHost, { host: row }),
    )
    return { inventory: await ctx.query.view(host, row.uuid) }
  })

  ctx.handle(addSimulatorPrimaryStorage, async (input) => {
    const { name, description, url, zoneUuid } = input
    const none = {
      totalCapacity: 0,
      availableCapacity: 0,
      totalPhysicalCapacity: 0,
      availablePhysicalCapacity: 0,
    }
    const row = {
      ...newRow(input),
      name,
      description,
      url,
      mountPath: url,
      zoneUuid,
      type: primaryStorageType,
      status: 'Connected',
      ...none,
    }
    await createWithTags(ctx, { type: 'PrimaryStorageVO', uuid: row.uuid }, input, () =>
      ctx.bus.call(addPrimaryStorage, row),
    )
    return { inventory: await ctx.query.view(primaryStorage, row.uuid) }
  })

  ctx.handle(addSimulatorBackupStorage, async (input) => {
    const { name, description, url } = input
    const none = { totalCapacity: 0, availableCapacity: 0 }
    const row = {
      ...newRow(input),
      name,
      description,
      url,
      type: backupStorageType,
      status: 'Connecting',
      ...none,
    }
    await createWithTags(ctx, { type: 'BackupStorageVO', uuid: row.uuid }, input, () =>
      ctx.bus.call(addBackupStorage, { storage: row }),
    )
    return { inventory: await ctx.query.view(backupStorage, row.uuid) }
  })
}

function newRow(input: { resourceUuid?: string | undefined }) {
  const now = Date.now()
  return { uuid: input.resourceUuid ?? newUuid(), state: 'Enabled', createDate: now, lastOpDate: now }
}
