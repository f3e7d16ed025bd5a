import { defineMessage } from '#contract'
import type { BackupStorage } from './resources.ts'

const queue = (backupStorageUuid: string) => `backup-storage:${backupStorageUuid}`

/** Adds a backup storage of any type: its row, the type's own row, the connection. All of it or nothing. */
export interface AddBackupStorageInput {
  readonly storage: BackupStorage
  readonly extension?:
    | { readonly inventory: string; readonly row: Readonly<Record<string, unknown>> }
    | undefined
}
export const addBackupStorage = defineMessage<AddBackupStorageInput, BackupStorage>(
  'backupStorage.add',
  (input) => queue(input.storage.uuid),
)

/** Connects a backup storage again. It is Connected afterwards, or Disconnected and the reason is thrown. */
export const connectBackupStorage = defineMessage<{ backupStorageUuid: string }, void>(
  'backupStorage.connect',
  (input) => queue(input.backupStorageUuid),
  { idempotent: true },
)

/** Changes name or description; a member that is absent stays as it is. */
export const describeBackupStorage = defineMessage<
  {
    backupStorageUuid: string
    name?: string | undefined
    description?: string | undefined
  },
  void
>('backupStorage.describe')

/** Asks the backup storage for its space, after images came or went. One that does not answer is left to the ping. */
export const refreshBackupStorage = defineMessage<{ backupStorageUuid: string }, void>(
  'backupStorage.refresh',
)

/** Where hosts fetch the images of a backup storage from. */
export const imageAddress = defineMessage<{ backupStorageUuid: string }, { address: string; port: number }>(
  'backupStorage.imageAddress',
)
