import { defineMessage } from '#contract'
import type { BackupStorage } from './resources.ts'

/** Adds a backup storage of any type: its row, the type's own row, the connection. All of it or nothing. */
export interface AddBackupStorageInput {
  readonly storage: BackupStorage
  readonly extension?:
    | { readonly inventory: string; readonly row: Readonly<Record<string, unknown>> }
    | undefined
}
export const addBackupStorage = defineMessage<AddBackupStorageInput, BackupStorage>('backupStorage.add')

/** Where hosts fetch the images of a backup storage from. */
export const imageAddress = defineMessage<{ backupStorageUuid: string }, { address: string; port: number }>(
  'backupStorage.imageAddress',
)
