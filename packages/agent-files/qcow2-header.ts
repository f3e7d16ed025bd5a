/**
 * Reads a qcow2 header without QEMU, so that a file whose header leads to another file is refused before any program that
 * would follow it has opened it. Pure: bytes in, facts out. The layout is that of QEMU's docs/interop/qcow2.txt.
 */
import { CloudError, sysErrors } from '#kernel'

/** How much of the start of a file is needed: the largest cluster, which header, extensions and backing name must fit in. */
export const QCOW2_HEADER_BYTES = 2 * 1024 * 1024

export interface Qcow2Header {
  readonly version: number
  readonly virtualSizeBytes: number
  readonly clusterBytes: number
  /** As it is written there, `json:` and all; undefined when there is none. */
  readonly backingFile: string | undefined
  /** True when the clusters lie in another file, by feature bit or by header extension. */
  readonly hasDataFile: boolean
  readonly encrypted: boolean
  readonly corrupt: boolean
  /** Bits QEMU must understand to read the file and that we do not know. */
  readonly unknownFeatures: bigint
}

const MAGIC = 0x514649fb
const EXTENSION = {
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  encryption: 0x0537be77,
  dataFile: 0x44415441,
} as const
const CORRUPT = 1n << 1n
const DATA_FILE = 1n << 2n
// Dirty, corrupt, data file, compression type, extended L2 entries.
const KNOWN_FEATURES = 0b11111n

/** True when the bytes begin like a qcow file of any version. */
export function hasQcowMagic(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes.readUInt32BE(0) === MAGIC
}

/** Reads the header from the first bytes of a file. SYS.1007 when they are not a sound qcow2 header. */
export function inspectQcow2Header(bytes: Buffer): Qcow2Header {
  if (!hasQcowMagic(bytes)) throw unsound('it does not begin with the qcow2 magic')
  if (bytes.length < 72) throw unsound(`it ends within the header, after ${bytes.length} bytes`)
  const version = bytes.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw unsound(`it has version ${version}; only 2 and 3 are known`)
  const clusterBits = bytes.readUInt32BE(20)
  if (clusterBits < 9 || clusterBits > 21) throw unsound(`its cluster size is 2^${clusterBits} bytes`)
  const clusterBytes = 2 ** clusterBits
  const v3 = version === 3 ? readVersion3(bytes, clusterBytes) : { features: 0n, headerBytes: 72 }
  const extensions = readExtensions(bytes, v3.headerBytes, clusterBytes)
  const size = bytes.readBigUInt64BE(24)
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw unsound(`its virtual size is ${size} bytes`)
  return {
    version,
    virtualSizeBytes: Number(size),
    clusterBytes,
    backingFile: readBackingFile(bytes, clusterBytes),
    hasDataFile: (v3.features & DATA_FILE) !== 0n || extensions.has(EXTENSION.dataFile),
    encrypted: bytes.readUInt32BE(32) !== 0 || extensions.has(EXTENSION.encryption),
    corrupt: (v3.features & CORRUPT) !== 0n,
    unknownFeatures: v3.features & ~KNOWN_FEATURES,
  }
}

/**
 * Refuses a qcow2 file that would make QEMU open anything but itself (backing file, external data file), that is
 * encrypted, marked corrupt, or needs features we do not know. SYS.1007.
 */
export function refuseOutwardQcow2(header: Qcow2Header): void {
  if (header.backingFile !== undefined) {
    const shown = JSON.stringify(header.backingFile.slice(0, 200))
    throw unsafe(
      `it is an overlay on the backing file ${shown}; flatten it first (qemu-img convert -O qcow2)`,
    )
  }
  if (header.hasDataFile) {
    throw unsafe(
      'it keeps its data in an external data file; convert it to one file first (qemu-img convert -O qcow2)',
    )
  }
  if (header.encrypted) throw unsafe('it is encrypted; decrypt it first')
  if (header.corrupt) throw unsafe('it is marked as corrupt; repair it first (qemu-img check -r all)')
  if (header.unknownFeatures !== 0n) {
    throw unsafe(
      `it needs unknown features (incompatible feature bits 0x${header.unknownFeatures.toString(16)})`,
    )
  }
}

function readVersion3(bytes: Buffer, clusterBytes: number): { features: bigint; headerBytes: number } {
  if (bytes.length < 104) throw unsound(`it ends within the header, after ${bytes.length} bytes`)
  const headerBytes = bytes.readUInt32BE(100)
  if (headerBytes < 104 || headerBytes > clusterBytes) throw unsound(`its header claims ${headerBytes} bytes`)
  return { features: bytes.readBigUInt64BE(72), headerBytes }
}

function readBackingFile(bytes: Buffer, clusterBytes: number): string | undefined {
  const offset = bytes.readBigUInt64BE(8)
  const length = bytes.readUInt32BE(16)
  if (offset === 0n) return undefined
  if (length > 1023 || offset + BigInt(length) > BigInt(Math.min(clusterBytes, bytes.length))) {
    throw unsound('the name of its backing file lies outside the header')
  }
  return bytes.toString('utf8', Number(offset), Number(offset) + length)
}

/** The types of the header extensions. They end at the backing file's name, at the end mark, or with the first cluster. */
function readExtensions(bytes: Buffer, start: number, clusterBytes: number): ReadonlySet<number> {
  const types = new Set<number>()
  const backingOffset = Number(bytes.readBigUInt64BE(8))
  const end = Math.min(backingOffset === 0 ? clusterBytes : backingOffset, clusterBytes, bytes.length)
  for (let at = start; at + 8 <= end; ) {
    const type = bytes.readUInt32BE(at)
    const length = bytes.readUInt32BE(at + 4)
    if (type === EXTENSION.end) break
    if (length > end - at - 8) throw unsound(`its header extension at ${at} claims ${length} bytes`)
    types.add(type)
    at += 8 + Math.ceil(length / 8) * 8
  }
  return types
}

function unsound(why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `the file is not a sound qcow2 image: ${why}`)
}

function unsafe(why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `the qcow2 image is refused: ${why}`)
}
