import { BlockList, isIP, isIPv4 } from 'node:net'
import { CloudError, sysErrors } from '#kernel'

/** What an image is and where it comes from, checked before anything is done. Pure. */

export const imageFormats = ['qcow2', 'raw', 'iso'] as const
export type ImageFormat = (typeof imageFormats)[number]
export type MediaType = 'RootVolumeTemplate' | 'DataVolumeTemplate' | 'ISO'

export interface ImageKind {
  readonly format: ImageFormat
  readonly mediaType: MediaType
}

/** The format and media type asked for, each filled in from the other: ISOs, and only they, are of the format iso. */
export function kindOf(input: { format?: string | undefined; mediaType?: MediaType | undefined }): ImageKind {
  const format = input.format?.toLowerCase() ?? (input.mediaType === 'ISO' ? 'iso' : undefined)
  const known = imageFormats.find((one) => one === format)
  if (known === undefined) {
    const found = input.format === undefined ? 'it was not given' : `got '${input.format}'`
    throw refused('format', `must be one of [${imageFormats.join(', ')}], ${found}`)
  }
  const mediaType = input.mediaType ?? (known === 'iso' ? 'ISO' : 'RootVolumeTemplate')
  if ((known === 'iso') !== (mediaType === 'ISO')) {
    const reason = `is ${known}, but the media type is ${mediaType}: the format iso and the media type ISO belong together`
    throw refused('format', reason)
  }
  return { format: known, mediaType }
}

const folders: Record<MediaType, string> = {
  RootVolumeTemplate: 'rootVolumeTemplates',
  DataVolumeTemplate: 'dataVolumeTemplates',
  ISO: 'isos',
}

/** Where an image lies below the root of a backup storage. */
export function installPath(
  root: string,
  owner: { accountUuid: string; imageUuid: string },
  kind: ImageKind,
): string {
  const { accountUuid, imageUuid } = owner
  const file = `${imageUuid}.${kind.format}`
  return `${root.replace(/\/+$/, '')}/${folders[kind.mediaType]}/acct-${accountUuid}/${imageUuid}/${file}`
}

export interface CheckedUrl {
  /** As it goes to the backup storage, credentials and all. */
  readonly url: string
  /** What is stored and shown: without credentials. */
  readonly publicUrl: string
}

/** Checks an image's URL. Throws SYS.1007 that says what is allowed and how to allow more. */
export function checkUrl(text: string, prefixes: readonly string[]): CheckedUrl {
  const url = URL.parse(text)
  if (url === null) throw refused('url', 'is not a URL; it looks like https://server/path/image.qcow2')
  if (url.protocol === 'file:') checkFile(url, prefixes)
  else if (url.protocol === 'http:' || url.protocol === 'https:') checkHost(url)
  else throw refused('url', `has the scheme ${url.protocol.slice(0, -1)}; http, https and file are known`)
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  const hasCredentials = url.username !== '' || url.password !== ''
  return { url: text, publicUrl: hasCredentials ? shown.href : text }
}

function checkFile(url: URL, prefixes: readonly string[]): void {
  const how =
    "an administrator allows directories with the global configuration image 'download.filePrefixes'"
  if (prefixes.length === 0)
    throw refused('url', `is a file: URL, and no directory of the image servers is allowed; ${how}`)
  if (url.host !== '')
    throw refused('url', 'names a host; a file lies on the image server: file:///directory/file')
  const path = decodedPath(url)
  const isInside = prefixes.some((prefix) => path.startsWith(`${prefix.replace(/\/+$/, '')}/`))
  if (isInside && !path.split('/').includes('..')) return
  throw refused('url', `names a file outside the allowed directories (${prefixes.join(', ')}); ${how}`)
}

function decodedPath(url: URL): string {
  try {
    return decodeURIComponent(url.pathname)
  } catch (cause) {
    throw new CloudError(sysErrors.invalidArgument, 'field[url] of AddImage has a malformed % sequence', {
      cause,
      opaque: { field: 'url' },
    })
  }
}

// The image server itself, and the metadata services of clouds. Names are judged by the agent, which resolves them.
const never = new BlockList()
never.addSubnet('127.0.0.0', 8)
never.addSubnet('0.0.0.0', 8)
never.addSubnet('169.254.0.0', 16)
never.addAddress('::1', 'ipv6')
never.addAddress('::', 'ipv6')
never.addSubnet('fe80::', 10, 'ipv6')

function checkHost(url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  const isLocalName = host === 'localhost' || host.endsWith('.localhost')
  const isLocalAddress = isIP(host) !== 0 && never.check(host, isIPv4(host) ? 'ipv4' : 'ipv6')
  if (!isLocalName && !isLocalAddress) return
  const reason = `names ${host}, which is the image server itself; give an address at which the image server reaches the source`
  throw refused('url', reason)
}

function refused(field: string, reason: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `field[${field}] of AddImage ${reason}`, {
    opaque: { field },
  })
}
