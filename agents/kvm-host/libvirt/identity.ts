/**
 * Which domains are ours. A host may run domains of other people and programs; those are listed, never touched. Ours have
 * the VM's uuid as name and as uuid, and say so in their metadata. Events carry only name and uuid, so `isOurName` decides
 * there; before anything is done to a domain its metadata is asked.
 */
export const METADATA_NAMESPACE = 'urn:zstack:kvm-host:vm:1'

/** libvirt's form of a uuid: with dashes. */
export function domainUuid(vmUuid: string): string {
  return vmUuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** True when a domain of this name and uuid (with dashes) can only be ours. */
export function isOurName(name: string, uuid: string): boolean {
  return name === uuid.replaceAll('-', '')
}
