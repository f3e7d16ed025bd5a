import { randomBytes } from 'node:crypto'
import { find, findOne, get, insert, oneOf, remove, type Session, type Tx, update } from '#db'
import { CloudError } from '#kernel'
import { usedIp } from '#plugins/l3-network/contract/resources.ts'
import { type Volume, volume } from '#plugins/volume/contract/resources.ts'
import { vmErrors } from './contract/errors.ts'
import { type VmInstance, type VmNic, vmInstance, vmNic } from './contract/resources.ts'

export function getVm(db: Session, uuid: string): Promise<VmInstance> {
  return get(db, vmInstance, uuid)
}

export function findVm(db: Session, uuid: string): Promise<VmInstance | undefined> {
  return findOne(db, vmInstance, { uuid })
}

export async function patchVm(tx: Tx, uuid: string, patch: Partial<VmInstance>): Promise<number> {
  return update(tx, vmInstance, { uuid }, { ...patch, lastOpDate: Date.now() })
}

/** Adds the row with the next internal number, of which the names of taps are made. A repeat is fine. */
export async function insertVm(tx: Tx, ids: InternalIds, row: Omit<VmInstance, 'internalId'>): Promise<void> {
  if ((await findVm(tx, row.uuid)) !== undefined) return
  await insert(tx, vmInstance, { ...row, internalId: await ids.next(tx) })
}

/**
 * Gives the next internal number. Searching for the highest would make every creation depend on all others of the same moment;
 * what is remembered is only a hint, and whether it is free is looked up.
 */
export class InternalIds {
  #hint = 0

  async next(tx: Tx): Promise<number> {
    const hint = this.#hint
    if (hint > 0) {
      // Whoever asks at the same time is given another.
      this.#hint += 1
      if ((await find(tx, vmInstance, { internalId: hint })).length === 0) return hint
    }
    const [last] = await find(tx, vmInstance, {}, { orderBy: ['internalId'], descending: true, limit: 1 })
    const next = (last?.internalId ?? 0) + 1
    this.#hint = Math.max(this.#hint, next + 1)
    return next
  }

  /** A creation was taken back: its number is free again, and the next one finds that out. */
  forget(): void {
    this.#hint = 0
  }
}

export async function removeVm(tx: Tx, uuid: string): Promise<void> {
  await remove(tx, vmInstance, { uuid })
}

export function nicsOf(db: Session, vmInstanceUuid: string): Promise<VmNic[]> {
  return find(db, vmNic, { vmInstanceUuid }, { orderBy: ['deviceId'] })
}

/** Attached volumes, the root volume first. */
export function volumesOf(db: Session, vmInstanceUuid: string): Promise<Volume[]> {
  return find(db, volume, { vmInstanceUuid }, { orderBy: ['deviceId'] })
}

export interface NewNic {
  readonly uuid: string
  readonly vmInstanceUuid: string
  readonly l3NetworkUuid: string
  readonly deviceId: number
  readonly mac: string | undefined
  readonly driverType: string
  readonly hypervisorType: string
}

/** Adds the row of a NIC for the address it was given. A repeat is fine. */
export async function insertNic(tx: Tx, nic: NewNic, usedIpUuid: string): Promise<void> {
  if ((await findOne(tx, vmNic, { uuid: nic.uuid })) !== undefined) return
  const address = await get(tx, usedIp, usedIpUuid)
  const { internalId } = await getVm(tx, nic.vmInstanceUuid)
  const now = Date.now()
  const row = {
    ...nic,
    ip: address.ip,
    netmask: address.netmask,
    gateway: address.gateway,
    usedIpUuid,
    ipVersion: 4,
    internalName: `vnic${internalId}.${nic.deviceId}`,
    type: 'VNIC',
    state: 'enable',
    createDate: now,
    lastOpDate: now,
  }
  await insertWithMac(tx, row, nic.mac)
}

type NicRow = Omit<VmNic, 'mac'>

async function insertWithMac(tx: Tx, row: NicRow, wanted: string | undefined): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const mac = wanted ?? randomMac()
    if ((await findOne(tx, vmNic, { mac })) === undefined) return insert(tx, vmNic, { ...row, mac })
    if (wanted !== undefined) break
  }
  const details =
    wanted === undefined ? 'no free MAC address was found in 10 tries' : `the MAC address ${wanted} is taken`
  throw new CloudError(vmErrors.allocateMac, details)
}

/** A random unicast MAC address in the range virtual machines of ZStack clouds have. */
function randomMac(): string {
  return ['fa', ...[...randomBytes(5)].map((b) => b.toString(16).padStart(2, '0'))].join(':')
}

export async function removeNic(tx: Tx, uuid: string): Promise<void> {
  await remove(tx, vmNic, { uuid })
}

export function vmsIn(db: Session, hostUuid: string, states: readonly string[]): Promise<VmInstance[]> {
  return find(db, vmInstance, { hostUuid, state: oneOf(states) })
}
