/**
 * An initramfs archive in the kernel's `newc` format, written directly: no root, no device nodes, same bytes
 * each time.
 */

export interface ArchiveEntry {
  path: string
  /** File type and permission bits as in stat(2). */
  mode: number
  content: Buffer
}

export const directory = (path: string): ArchiveEntry => ({ path, mode: 0o040755, content: Buffer.alloc(0) })
export const file = (path: string, content: Buffer): ArchiveEntry => ({ path, mode: 0o100644, content })
export const program = (path: string, content: Buffer): ArchiveEntry => ({ path, mode: 0o100755, content })
export const link = (path: string, target: string): ArchiveEntry => {
  return { path, mode: 0o120777, content: Buffer.from(target) }
}

/** Parents must stand before their children. */
export function packArchive(entries: readonly ArchiveEntry[]): Buffer {
  const end: ArchiveEntry = { path: 'TRAILER!!!', mode: 0, content: Buffer.alloc(0) }
  return Buffer.concat([...entries, end].flatMap((entry, index) => packEntry(entry, index + 1)))
}

function packEntry({ path, mode, content }: ArchiveEntry, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`)
  // inode, mode, uid, gid, links, mtime, size, device and special device numbers, name length, unused
  // checksum
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
  const head = Buffer.concat([Buffer.from(header), name])
  return [head, padding(head.length), content, padding(content.length)]
}

const padding = (length: number) => Buffer.alloc((4 - (length % 4)) % 4)
