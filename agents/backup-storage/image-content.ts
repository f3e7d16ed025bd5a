/** What the bytes of an image say it is. Pure; nothing here opens what a header points to. */
import { hasQcowMagic, inspectQcow2Header, refuseOutwardQcow2 } from '#agent-files'
import { CloudError, sysErrors } from '#kernel'

export type ImageFormat = 'qcow2' | 'raw' | 'iso'

export interface ImageBytes {
  /** The first bytes, at least 64 KiB when the file has them. */
  readonly start: Buffer
  /** The last 512 bytes: some formats keep their mark there. */
  readonly end: Buffer
}

/**
 * Refuses a file that is not what the user said, or whose header leads out of it. SYS.1007 with the reason and what to do.
 * Raw contents are never used to choose a format: a disk that looks like another format is refused.
 */
export function checkImageContent(format: ImageFormat, bytes: ImageBytes): void {
  if (bytes.start.length === 0) throw refused(format, 'it is empty')
  if (format === 'qcow2') {
    if (!hasQcowMagic(bytes.start)) throw refused(format, describeOther(bytes) ?? 'it has no qcow2 magic')
    refuseOutwardQcow2(inspectQcow2Header(bytes.start))
    return
  }
  const other = describeOther(bytes)
  if (other !== undefined) throw refused(format, other)
  if (format === 'iso' && !hasIsoMagic(bytes.start)) {
    throw refused(format, 'it has no ISO 9660 volume descriptor at byte 32769')
  }
}

const ISO_MAGIC_AT = 0x8001

function hasIsoMagic(start: Buffer): boolean {
  // A pure UDF disc begins with BEA01 instead of CD001.
  const magic = start.toString('latin1', ISO_MAGIC_AT, ISO_MAGIC_AT + 5)
  return magic === 'CD001' || magic === 'BEA01'
}

interface Signature {
  readonly name: string
  readonly magic: string
  /** Offset from the start; `end` looks at the last 512 bytes. */
  readonly at: number | 'end'
}

const DISK_FORMATS: readonly Signature[] = [
  { name: 'qcow2', magic: 'QFI\xfb', at: 0 },
  { name: 'VMDK', magic: 'KDMV', at: 0 },
  { name: 'VMDK', magic: 'COWD', at: 0 },
  { name: 'VHD', magic: 'conectix', at: 0 },
  { name: 'VHD', magic: 'conectix', at: 'end' },
  { name: 'VHDX', magic: 'vhdxfile', at: 0 },
  { name: 'VDI', magic: '\x7f\x10\xda\xbe', at: 0x40 },
  { name: 'QED', magic: 'QED\0', at: 0 },
  { name: 'Parallels', magic: 'WithoutFreeSpace', at: 0 },
  { name: 'Parallels', magic: 'WithouFreSpacExt', at: 0 },
  { name: 'Bochs', magic: 'Bochs Virtual HD Image', at: 0 },
  { name: 'cloop', magic: '#!/bin/sh\n#V2.0 Format', at: 0 },
  { name: 'DMG', magic: 'koly', at: 'end' },
  { name: 'LUKS (encrypted)', magic: 'LUKS\xba\xbe', at: 0 },
]

const PACKED: readonly Signature[] = [
  { name: 'gzip', magic: '\x1f\x8b\x08', at: 0 },
  { name: 'xz', magic: '\xfd7zXZ\0', at: 0 },
  { name: 'bzip2', magic: 'BZh', at: 0 },
  { name: 'zstd', magic: '\x28\xb5\x2f\xfd', at: 0 },
  { name: 'zip', magic: 'PK\x03\x04', at: 0 },
  { name: '7z', magic: '7z\xbc\xaf\x27\x1c', at: 0 },
]

/** What the file evidently is, when it is none of the formats we take raw. */
function describeOther(bytes: ImageBytes): string | undefined {
  const disk = DISK_FORMATS.find((s) => carries(bytes, s))
  if (disk !== undefined) {
    const remedy = disk.name === 'qcow2' ? 'register it as qcow2' : 'convert it to qcow2 first'
    return `it is a ${disk.name} file by its contents; ${remedy}`
  }
  if (isVmdkDescriptor(bytes.start))
    return 'it is a VMDK descriptor, which names other files; convert it to qcow2 first'
  const packed = PACKED.find((s) => carries(bytes, s))
  if (packed !== undefined) return `it is compressed with ${packed.name}; decompress it first`
  if (/^\s*(<!doctype html|<html)/i.test(bytes.start.toString('latin1', 0, 256))) {
    return 'it is a web page; give the address of the image itself'
  }
  return undefined
}

function carries({ start, end }: ImageBytes, { magic, at }: Signature): boolean {
  const [bytes, offset] = at === 'end' ? [end, 0] : [start, at]
  return bytes.toString('latin1', offset, offset + magic.length) === magic
}

/** A text whose first line that is neither empty nor a comment gives a version is what QEMU takes for a VMDK descriptor. */
function isVmdkDescriptor(start: Buffer): boolean {
  const text = start.toString('latin1', 0, 64 * 1024)
  if (/^\s*#\s*Disk DescriptorFile/i.test(text)) return true
  const first = text.split('\n').find((line) => !/^\s*(#.*)?$/.test(line))
  return first !== undefined && /^\s*version=/i.test(first)
}

function refused(format: ImageFormat, why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `the image is refused as ${format}: ${why}`)
}
