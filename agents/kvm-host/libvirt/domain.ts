import { CloudError, sysErrors } from '#kernel'
import type { AgentVmState } from '../contract/host.ts'
import type { LibvirtClient } from './client.ts'
import type { LibvirtConnection } from './connection.ts'
import { type LiveDomain, parseDomainXml } from './domain-parse.ts'
import { readDomainState } from './domain-state.ts'
import { libvirtCodeOf, libvirtCodes } from './errors.ts'
import { loadLibvirt, type Pointer, takePointerArray } from './ffi.ts'
import { domainUuid, isOurName } from './identity.ts'

/** A domain found on a connection. Valid only while the connection is lent. */
export interface FoundDomain {
  readonly connection: LibvirtConnection
  readonly pointer: Pointer
  readonly vmUuid: string
  readonly state: AgentVmState
  readonly moving: boolean
}

/**
 * Looks the VM's domain up and runs `work` with it, or with undefined when there is none. A domain that has the VM's uuid
 * but is not ours is refused before `work` sees it.
 */
export function withDomain<T>(
  client: LibvirtClient,
  vmUuid: string,
  work: (domain: FoundDomain | undefined, connection: LibvirtConnection) => Promise<T>,
): Promise<T> {
  return client.use((connection) => withDomainOn(connection, vmUuid, (domain) => work(domain, connection)))
}

/** The same on a connection the caller has. */
export async function withDomainOn<T>(
  connection: LibvirtConnection,
  vmUuid: string,
  work: (domain: FoundDomain | undefined) => Promise<T>,
): Promise<T> {
  const pointer = await lookUp(connection, vmUuid)
  if (pointer === undefined) return work(undefined)
  try {
    const status = await ourStatus(connection, pointer, vmUuid)
    return await work(status && { connection, pointer, vmUuid, ...status })
  } finally {
    loadLibvirt().api.domainFree(pointer)
  }
}

/** The domain, or the error that the VM does not run here. */
export function mustExist(domain: FoundDomain | undefined, vmUuid: string, what: string): FoundDomain {
  if (domain !== undefined) return domain
  throw new CloudError(sysErrors.resourceNotFound, `cannot ${what}: VM ${vmUuid} does not run on this host`)
}

/** Everything libvirt says about a domain now. */
export async function readDomain(domain: FoundDomain): Promise<LiveDomain> {
  return parseDomainXml(await readXml(domain.connection, domain.pointer, domain.vmUuid))
}

interface ListedDomain {
  readonly name: string
  readonly uuid: string
  readonly ours: boolean
  readonly state: AgentVmState
  readonly moving: boolean
}

const LIST_ACTIVE = 1

/** All running domains of this host, ours and those of others. */
export async function listDomains(connection: LibvirtConnection): Promise<ListedDomain[]> {
  const { api } = loadLibvirt()
  const array: [Pointer | null] = [null]
  const count = await connection.call('list the domains', api.connectListAllDomains, array, LIST_ACTIVE)
  if (array[0] === null) return []
  const pointers = takePointerArray(array[0], count)
  try {
    const listed: ListedDomain[] = []
    for (const pointer of pointers) {
      const status = await readStatus(connection, pointer)
      const name = api.domainGetName(pointer)
      const uuid = uuidOf(pointer)
      if (status !== undefined) listed.push({ name, uuid, ours: isOurName(name, uuid), ...status })
    }
    return listed
  } finally {
    for (const pointer of pointers) api.domainFree(pointer)
  }
}

/** The uuid of a domain, with dashes. Asks nobody. */
export function uuidOf(pointer: Pointer): string {
  const buffer = Buffer.alloc(37)
  loadLibvirt().api.domainGetUuidString(pointer, buffer)
  return buffer.toString('latin1', 0, 36)
}

async function lookUp(connection: LibvirtConnection, vmUuid: string): Promise<Pointer | undefined> {
  const { api } = loadLibvirt()
  return unlessGone(connection.call(`look up VM ${vmUuid}`, api.lookupByUuid, domainUuid(vmUuid)))
}

async function ourStatus(connection: LibvirtConnection, pointer: Pointer, vmUuid: string) {
  const xml = await unlessGone(readXml(connection, pointer, vmUuid))
  if (xml === undefined) return undefined
  const { ours, name } = parseDomainXml(xml)
  if (ours) return readStatus(connection, pointer)
  throw new CloudError(
    sysErrors.operationFailed,
    `the domain ${name} on this host has the uuid of VM ${vmUuid} but was not made by this agent; it is left alone`,
  )
}

async function readStatus(connection: LibvirtConnection, pointer: Pointer) {
  const { api } = loadLibvirt()
  const state: [number] = [0]
  const reason: [number] = [0]
  const read = connection.callOn('read the state of a domain', api.domainGetState, pointer, state, reason, 0)
  if ((await unlessGone(read)) === undefined) return undefined
  return readDomainState(state[0], reason[0])
}

function readXml(connection: LibvirtConnection, pointer: Pointer, vmUuid: string): Promise<string> {
  return connection.callOn(`read the domain of VM ${vmUuid}`, loadLibvirt().api.domainGetXml, pointer, 0)
}

/** The result, or undefined when the domain does not exist (any more): domains end whenever they like. */
export async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (libvirtCodeOf(error) === libvirtCodes.noDomain) return undefined
    throw error
  }
}
