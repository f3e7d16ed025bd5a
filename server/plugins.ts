import type { Plugin } from '#plugin-host'
import { backupStoragePlugin } from '#plugins/backup-storage/plugin.ts'
import { clusterPlugin } from '#plugins/cluster/plugin.ts'
import { consolePlugin } from '#plugins/console/plugin.ts'
import { flatNetworkPlugin } from '#plugins/flat-network/plugin.ts'
import { garbageCollectorPlugin } from '#plugins/garbage-collector/plugin.ts'
import { globalConfigPlugin } from '#plugins/global-config/plugin.ts'
import { hostPlugin } from '#plugins/host/plugin.ts'
import { identityPlugin } from '#plugins/identity/plugin.ts'
import { imagePlugin } from '#plugins/image/plugin.ts'
import { kvmPlugin } from '#plugins/kvm/plugin.ts'
import { l2NetworkPlugin } from '#plugins/l2-network/plugin.ts'
import { l3NetworkPlugin } from '#plugins/l3-network/plugin.ts'
import { localStoragePlugin } from '#plugins/local-storage/plugin.ts'
import { managementNodePlugin } from '#plugins/management-node/plugin.ts'
import { monitoringPlugin } from '#plugins/monitoring/plugin.ts'
import { networkServicePlugin } from '#plugins/network-service/plugin.ts'
import { offeringPlugin } from '#plugins/offering/plugin.ts'
import { primaryStoragePlugin } from '#plugins/primary-storage/plugin.ts'
import { sftpPlugin } from '#plugins/sftp/plugin.ts'
import { createSimulatorPlugin } from '#plugins/simulator/plugin.ts'
import { tagPlugin } from '#plugins/tag/plugin.ts'
import { taskPlugin } from '#plugins/task/plugin.ts'
import { uiPlugin } from '#plugins/ui/plugin.ts'
import { vmPlugin } from '#plugins/vm/plugin.ts'
import { volumePlugin } from '#plugins/volume/plugin.ts'
import { workflowPlugin } from '#plugins/workflow/plugin.ts'
import { zonePlugin } from '#plugins/zone/plugin.ts'

/** Every feature of this cloud. Taking one out of the list takes the feature out, and nothing else. */
export function allPlugins(simulator: Plugin = createSimulatorPlugin()): readonly Plugin[] {
  return [
    globalConfigPlugin,
    identityPlugin,
    tagPlugin,
    managementNodePlugin,
    workflowPlugin,
    zonePlugin,
    clusterPlugin,
    hostPlugin,
    garbageCollectorPlugin,
    kvmPlugin,
    taskPlugin,
    monitoringPlugin,
    offeringPlugin,
    primaryStoragePlugin,
    localStoragePlugin,
    backupStoragePlugin,
    sftpPlugin,
    imagePlugin,
    volumePlugin,
    l2NetworkPlugin,
    l3NetworkPlugin,
    networkServicePlugin,
    flatNetworkPlugin,
    vmPlugin,
    consolePlugin,
    uiPlugin,
    simulator,
  ]
}
