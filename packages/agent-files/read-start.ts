import { open } from 'node:fs/promises'
import { QCOW2_HEADER_BYTES } from './qcow2-header.ts'

/** The first bytes of a file: enough for every header we look at. */
export async function readStart(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.alloc(QCOW2_HEADER_BYTES)
    let length = 0
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, length)
      length += bytesRead
      if (bytesRead === 0 || length === bytes.length) return bytes.subarray(0, length)
    }
  } finally {
    await file.close()
  }
}
