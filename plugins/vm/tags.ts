import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { matchTag, systemTagPattern } from '#plugins/tag/contract/extensions.ts'

export const vmTags = {
  hostname: 'hostname::{hostname}',
  userdata: 'userdata::{userdata}',
  sshkey: 'sshkey::{sshkey}',
  staticIp: 'staticIp::{l3NetworkUuid}::{staticIp}',
  consolePassword: 'consolePassword::{consolePassword}',
  bootOrder: 'bootOrder::{bootOrder}',
} as const

const hostnamePattern = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
const maxUserdataBytes = 1_048_576

/** System tags VMs understand, with what is checked before anything is made. */
export function registerVmTags(ctx: PluginContext): void {
  const pattern = (tag: string, validate?: (tokens: Readonly<Record<string, string>>) => void) => {
    ctx.hook(systemTagPattern, {
      resourceType: 'VmInstanceVO',
      pattern: tag,
      ...(validate === undefined ? {} : { validate }),
    })
  }
  pattern(vmTags.hostname, ({ hostname = '' }) => {
    if (!hostnamePattern.test(hostname))
      throw bad(`'${hostname}' is no host name: letters, digits and inner hyphens, at most 63`)
  })
  pattern(vmTags.userdata, ({ userdata = '' }) => {
    const text = decodeUserdata(userdata)
    if (text === undefined) throw bad('user data must be base64')
    if (Buffer.byteLength(text) > maxUserdataBytes)
      throw bad(`user data may have at most ${maxUserdataBytes} bytes`)
  })
  pattern(vmTags.sshkey, ({ sshkey = '' }) => {
    if (!/^(ssh-|ecdsa-|sk-)\S+ \S+/.test(sshkey))
      throw bad('the SSH key must be a public key as in authorized_keys')
  })
  pattern(vmTags.staticIp)
  pattern(vmTags.consolePassword, ({ consolePassword = '' }) => {
    if (consolePassword.length > 8)
      throw bad('VNC looks at 8 characters of a console password; give at most 8')
  })
  pattern(vmTags.bootOrder, ({ bootOrder = '' }) => {
    const words = bootOrder.split(',')
    if (!words.every((w) => ['HardDisk', 'CdRom', 'Network'].includes(w)))
      throw bad('boot order is a list of HardDisk, CdRom, Network')
  })
}

/** The value a VM's tags give for a pattern with one token. */
export function tagValue(tags: readonly string[], pattern: string): string | undefined {
  for (const tag of tags) {
    const tokens = matchTag(pattern, tag)
    if (tokens !== undefined) return Object.values(tokens)[0]
  }
  return undefined
}

/** Addresses asked for, by L3 network. */
export function staticIps(tags: readonly string[]): ReadonlyMap<string, string> {
  const found = tags.map((tag) => matchTag(vmTags.staticIp, tag)).filter((t) => t !== undefined)
  return new Map(found.map((t) => [t.l3NetworkUuid ?? '', t.staticIp ?? '']))
}

/** The text of base64 user data, undefined when it is none. */
export function decodeUserdata(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(base64)) return undefined
  return Buffer.from(base64, 'base64').toString('utf8')
}

function bad(details: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'systemTags' } })
}
