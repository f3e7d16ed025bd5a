/** One file of an archive. */
export interface TarFile {
  readonly path: string
  readonly data: Buffer
  readonly executable: boolean
}

const BLOCK = 512

/**
 * A ustar archive of plain files, the same bytes for the same files: sorted, owned by root, without times.
 * Throws on a path that ustar cannot hold (100 bytes of name, 155 of directory).
 */
export function createTar(files: readonly TarFile[]): Buffer {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1))
  const blocks = sorted.flatMap((file) => {
    const padding = (BLOCK - (file.data.length % BLOCK)) % BLOCK
    return [header(file), file.data, Buffer.alloc(padding)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}

function header(file: TarFile): Buffer {
  const block = Buffer.alloc(BLOCK)
  const { prefix, name } = splitPath(file.path)
  block.write(name, 0)
  block.write(octal(file.executable ? 0o755 : 0o644, 8), 100)
  block.write(octal(0, 8), 108)
  block.write(octal(0, 8), 116)
  block.write(octal(file.data.length, 12), 124)
  block.write(octal(0, 12), 136)
  block.write('        ', 148)
  block.write('0', 156)
  block.write('ustar\0', 257)
  block.write('00', 263)
  block.write(prefix, 345)
  // The checksum counts its own field as spaces.
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`
}

function splitPath(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path }
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const prefix = path.slice(0, at)
    const name = path.slice(at + 1)
    if (Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { prefix, name }
  }
  throw new Error(`the path ${path} is too long for an archive`)
}
