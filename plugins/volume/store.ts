import { findOne, get, insert, remove, type Session, type Tx, update } from '#db'
import type { NewVolume } from './contract/messages.ts'
import { type Volume, volume } from './contract/resources.ts'
import { volumeStatus } from './contract/states.ts'

export async function insertVolume(tx: Tx, v: NewVolume): Promise<void> {
  if ((await findOne(tx, volume, { uuid: v.uuid })) !== undefined) return
  const now = Date.now()
  await insert(tx, volume, {
    ...v,
    actualSize: 0,
    state: 'Enabled',
    status: volumeStatus.notInstantiated,
    isShareable: false,
    createDate: now,
    lastOpDate: now,
  })
}

export function getVolume(db: Session, uuid: string): Promise<Volume> {
  return get(db, volume, uuid)
}

export async function patchVolume(tx: Tx, uuid: string, patch: Partial<Volume>): Promise<void> {
  await update(tx, volume, { uuid }, { ...patch, lastOpDate: Date.now() })
}

export async function deleteRow(tx: Tx, uuid: string): Promise<void> {
  await remove(tx, volume, { uuid })
}
