import { createHash } from 'node:crypto'
import ipaddr from 'ipaddr.js'
import type { CallInput, CallOutput } from '#agent-rpc'
import type { downloadImage } from '#agents/backup-storage/contract/index.ts'
import { CloudError, sysErrors } from '#kernel'
import type { SimulatedFiles } from './files.ts'

type Download = CallInput<typeof downloadImage>

/**
 * Pretends to fetch an image: everything about it follows from its URL. `?size=` is the virtual size (1 GiB when absent),
 * `?actual=` the size of the file, `?format=` what it really is; a URL with `missing` in it is not there.
 */
export function download(files: SimulatedFiles, input: Download): CallOutput<typeof downloadImage> {
  const path = files.confine(input.imagePath, 'imagePath')
  const image = imageBehind(checkUrl(input), input)
  if (image.actualSizeBytes > input.maxBytes) {
    const limit = `it has ${image.actualSizeBytes} bytes, at most ${input.maxBytes} are allowed`
    throw new CloudError(sysErrors.invalidArgument, `cannot download the image to ${path}: ${limit}`)
  }
  files.put(path, image)
  return image
}

function imageBehind(url: URL, input: Download): CallOutput<typeof downloadImage> {
  if (url.href.includes('missing')) {
    throw new CloudError(sysErrors.httpError, `cannot download ${show(url)}: HTTP 404, not found`)
  }
  const found = url.searchParams.get('format') ?? input.expectedFormat
  if (input.expectedFormat === 'qcow2' && found !== 'qcow2') {
    throw new CloudError(sysErrors.invalidArgument, `${show(url)} is ${found}, not qcow2`)
  }
  const virtualSizeBytes = bytes(url, 'size') ?? 2 ** 30
  const thin = Math.min(virtualSizeBytes, 64 * 2 ** 20)
  const whole = bytes(url, 'actual') ?? (input.expectedFormat === 'qcow2' ? thin : virtualSizeBytes)
  const sha256 = createHash('sha256').update(url.href).digest('hex')
  return { format: input.expectedFormat, virtualSizeBytes, actualSizeBytes: whole, sha256 }
}

function checkUrl(input: Download): URL {
  const url = URL.parse(input.url)
  if (url === null) throw refused('is not a URL')
  if (url.protocol === 'file:') {
    const inside = input.filePrefixes.some((prefix) =>
      url.pathname.startsWith(`${prefix.replace(/\/$/, '')}/`),
    )
    if (!inside) throw refused(`names a file outside [${input.filePrefixes.join(', ')}]`)
    return url
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refused(`has scheme ${url.protocol.slice(0, -1)}, only http, https and file are known`)
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isPrivate = host === 'localhost' || (ipaddr.isValid(host) && ipaddr.parse(host).range() !== 'unicast')
  if (isPrivate && !input.allowPrivateAddresses) throw refused(`names the private address ${host}`)
  return url
}

function bytes(url: URL, name: string): number | undefined {
  const value = url.searchParams.get(name)
  return value === null ? undefined : Number(value)
}

function refused(reason: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `field[url] ${reason}`, { opaque: { field: 'url' } })
}

// User name, password and query may be secret.
function show(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}
