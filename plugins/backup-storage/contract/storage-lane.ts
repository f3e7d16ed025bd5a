import { type AgentClient, limitCalls } from '#agent-rpc'
import { downloadImage, pingBackupStorage } from '#agents/backup-storage/contract/index.ts'
import { laneOf, type PluginContext } from '#plugin-host'
import { commandParallelism } from './configs.ts'

/** The client of an image server with bounded commands. Downloads have a lane of their own, where they may take hours. */
export function limitStorageCalls<C extends AgentClient>(
  ctx: Pick<PluginContext, 'lanes' | 'config'>,
  backupStorageUuid: string,
  client: C,
): C {
  const lane = laneOf(ctx, `image-server-commands:${backupStorageUuid}`, commandParallelism)
  return limitCalls(client, lane, [pingBackupStorage.name, downloadImage.name])
}
