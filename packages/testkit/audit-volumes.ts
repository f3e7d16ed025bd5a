import type { Session } from '#db'
import { type Row, repeated, rowsOf } from './audit-rows.ts'

/** Volumes: every VM has its root volume, every volume with a file has its space, and no other has any. */
export async function auditVolumes(db: Session): Promise<string[]> {
  const volumes = await rowsOf(db, 'VolumeVO')
  const attached = volumes.filter(({ vmInstanceUuid }) => vmInstanceUuid !== null)
  const places = repeated(attached, (row) => `number ${row.deviceId} of VM ${row.vmInstanceUuid}`)
  return [
    ...places.map((place) => `more than one disk is ${place}`),
    ...auditRoots(volumes, await rowsOf(db, 'VmInstanceVO')),
    ...auditSpace(volumes, await rowsOf(db, 'LocalStorageResourceRefVO')),
  ]
}

function auditRoots(volumes: readonly Row[], vms: readonly Row[]): string[] {
  const found: string[] = []
  const byUuid = new Map(vms.map((row) => [row.uuid, row]))
  // A Destroyed one whose removal was cut off waits for its repeat.
  for (const { uuid, rootVolumeUuid, state } of vms)
    if (rootVolumeUuid === null && state !== 'Destroyed') found.push(`VM ${uuid} has no root volume`)
  for (const { uuid, type, vmInstanceUuid, deviceId } of volumes) {
    const vm = byUuid.get(vmInstanceUuid ?? null)
    const isCutOff = vm?.state === 'Destroyed' && vm.rootVolumeUuid === null
    if (type === 'Root' && vm?.rootVolumeUuid !== uuid && !isCutOff)
      found.push(`root volume ${uuid} belongs to VM ${vmInstanceUuid}, whose is ${vm?.rootVolumeUuid}`)
    if (type !== 'Root' && (vmInstanceUuid === null) !== (deviceId === null))
      found.push(`volume ${uuid} is of VM ${vmInstanceUuid} and its disk number ${deviceId}`)
  }
  return found
}

function auditSpace(volumes: readonly Row[], refs: readonly Row[]): string[] {
  const found: string[] = []
  const byVolume = Map.groupBy(refs, (ref) => ref.resourceUuid)
  for (const { uuid, installPath, status, size } of volumes) {
    const own = byVolume.get(uuid ?? null) ?? []
    const due = installPath === null ? 0 : 1
    if (own.length !== due) found.push(`volume ${uuid} has space ${own.length} times, is due ${due}`)
    if ((status === 'NotInstantiated' && due === 1) || (status === 'Ready' && due === 0))
      found.push(`volume ${uuid} is ${status} and its file is ${installPath}`)
    for (const ref of own)
      if (ref.size !== size) found.push(`volume ${uuid} has ${size} bytes and space for ${ref.size}`)
  }
  return found
}
