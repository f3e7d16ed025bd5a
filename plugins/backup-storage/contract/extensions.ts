import type { AgentClient } from '#agent-rpc'
import { defineDriver, defineHook } from '#plugin-host'
import type { BackupStorage } from './resources.ts'

/** How backup storages of one type are reached: each answers the commands of the backup storage agent's contract. */
export interface BackupStorageConnector {
  client(backupStorageUuid: string): Promise<AgentClient>
  /** The version the agents should run; a ping that finds another one leads to a reconnect. Left out when any will do. */
  agentVersion?(): Promise<string>
  /** Makes the agent run there and its root ready; returns the space. Repeats are fine. */
  connect(
    storage: BackupStorage,
    onProgress: (message: string) => void,
  ): Promise<{ totalBytes: number; availableBytes: number }>
  /** Where hosts fetch images from. */
  imageAddress(backupStorageUuid: string): Promise<{ address: string; port: number }>
  /** Removes the agent, not the images, and forgets the connection. A server that cannot be reached is no error. */
  forget(backupStorageUuid: string): Promise<void>
}

/** By backup storage type: `SftpBackupStorage`, `SimulatorBackupStorage`. */
export const backupStorageConnector = defineDriver<BackupStorageConnector>('backup storage')

/** Observes backup storages. */
export interface BackupStorageHook {
  /** Throws, naming what is left, when the backup storage still holds something of this plugin. */
  beforeDelete(backupStorageUuid: string): Promise<void>
  /** The backup storage goes away with whatever it holds: forgets all of it. Repeats are fine. */
  onDelete(backupStorageUuid: string): Promise<void>
}

export const backupStorageHook = defineHook<BackupStorageHook>('backup storage')
