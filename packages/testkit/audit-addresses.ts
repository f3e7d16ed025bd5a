import type { Session } from '#db'
import { type Row, repeated, rowsOf } from './audit-rows.ts'

/** IP and MAC addresses: each belongs to one NIC, lies in its range, and nobody keeps one for nothing. */
export async function auditAddresses(db: Session): Promise<string[]> {
  const found: string[] = []
  const nics = await rowsOf(db, 'VmNicVO')
  const addresses = await rowsOf(db, 'UsedIpVO')
  const byUuid = new Map(addresses.map((row) => [row.uuid, row]))
  for (const nic of nics) {
    const address = byUuid.get(nic.usedIpUuid ?? null)
    if (address?.ip !== nic.ip || address?.vmNicUuid !== nic.uuid)
      found.push(`NIC ${nic.uuid} says it has ${nic.ip}, the address is ${JSON.stringify(address)}`)
    if (nic.vmInstanceUuid === null) found.push(`NIC ${nic.uuid} belongs to no VM`)
  }
  for (const { uuid, ip, vmNicUuid, usedFor } of addresses)
    if (vmNicUuid === null && usedFor === null) found.push(`address ${ip}[uuid:${uuid}] is used by nobody`)
  for (const what of repeated(addresses, (row) => `${row.ip} of network ${row.l3NetworkUuid}`))
    found.push(`address ${what} was given out more than once`)
  const taken = addresses.filter(({ vmNicUuid }) => vmNicUuid !== null)
  for (const nic of repeated(taken, (row) => `${row.vmNicUuid}`))
    found.push(`NIC ${nic} has more than one address`)
  for (const mac of repeated(nics, (row) => `${row.mac}`)) found.push(`more than one NIC has the MAC ${mac}`)
  for (const tap of repeated(nics, (row) => `${row.internalName}`))
    found.push(`more than one NIC has the tap ${tap}`)
  for (const place of repeated(nics, (row) => `number ${row.deviceId} of VM ${row.vmInstanceUuid}`))
    found.push(`more than one NIC is ${place}`)
  return [...found, ...auditRanges(addresses, await rowsOf(db, 'IpRangeVO'))]
}

function auditRanges(addresses: readonly Row[], ranges: readonly Row[]): string[] {
  const byUuid = new Map(ranges.map((row) => [row.uuid, row]))
  return addresses.flatMap(({ ip, ipRangeUuid, l3NetworkUuid }) => {
    const range = byUuid.get(ipRangeUuid ?? null)
    if (range === undefined) return []
    const number = longOf(ip)
    const isInside = number >= longOf(range.startIp) && number <= longOf(range.endIp)
    if (isInside && range.l3NetworkUuid === l3NetworkUuid) return []
    return [
      `address ${ip} of network ${l3NetworkUuid} is not of its range ${range.startIp} to ${range.endIp}`,
    ]
  })
}

const longOf = (ip: Row[string] | undefined): number =>
  String(ip)
    .split('.')
    .reduce((sum, part) => sum * 256 + Number(part), 0)
