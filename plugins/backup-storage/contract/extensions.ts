import type { AgentClient } from '#agent-rpc'
import { defineDriver } from '#plugin-host'
import type { BackupStorage } from './resources.ts'

/** How backup storages of one type are reached: each answers the commands of the backup storage agent's contract. */
export interface BackupStorageConnector {
  client(backupStorageUuid: string): Promise<AgentClient>
  /** Makes the agent run there and its root ready; returns the space. Repeats are fine. */
  connect(
    storage: BackupStorage,
    onProgress: (message: string) => void,
  ): Promise<{ totalBytes: number; availableBytes: number }>
  /** Where hosts fetch images from. */
  imageAddress(backupStorageUuid: string): Promise<{ address: string; port: number }>
  forget(backupStorageUuid: string): Promise<void>
}

/** By backup storage type: `SftpBackupStorage`, `SimulatorBackupStorage`. */
export const backupStorageConnector = defineDriver<BackupStorageConnector>('backup storage')
