/**
 * The lab's guest: a bootable disk of a few megabytes that is up in about two seconds without hardware
 * virtualisation. It tells over HTTP and on its serial console what it got (lease, metadata, user data,
 * disks). See README.md.
 *
 * Partition 1 is FAT with syslinux, the kernel and the initramfs; partition 2 is an ext4 for what has to
 * survive a reboot. Nothing is mounted and no root is needed: every file system is written as a file.
 */
import { createHash } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runCommand } from '../command.ts'
import { cacheDir } from '../config.ts'
import { type BootFiles, GUEST_DIR, makeBootFiles } from './boot-files.ts'

const SECTOR = 512
const BOOT = { firstSector: 2048, sectors: 22 * 2048, type: 0x0e }
const DATA = { firstSector: BOOT.firstSector + BOOT.sectors, sectors: 8 * 2048, type: 0x83 }
const KERNEL_ARGS = 'console=tty0 console=ttyS0 quiet loglevel=3 tsc=reliable no_timer_check'
const BOOT_MENU = `DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
LINUX /vmlinuz
INITRD /initrd
APPEND ${KERNEL_ARGS}
`

/**
 * Path of the qcow2 disk; made once per recipe and kept in the cache, then copied to `outFile` when that is
 * given.
 */
export function buildGuestImage(outFile?: string): Promise<string> {
  return cached('qcow2', outFile, writeDisk)
}

/** The same guest as a CD that runs in memory only. */
export function buildGuestIso(outFile?: string): Promise<string> {
  return cached('iso', outFile, writeIso)
}

type Writer = (workDir: string, boot: BootFiles, target: string) => Promise<void>

async function cached(kind: 'qcow2' | 'iso', outFile: string | undefined, write: Writer): Promise<string> {
  const dir = cacheDir()
  await mkdir(dir, { recursive: true })
  const prefix = `guest-${await recipeHash()}-`
  const known = (await readdir(dir)).find((name) => name.startsWith(prefix) && name.endsWith(`.${kind}`))
  const path = known ? join(dir, known) : await build({ dir, prefix, kind, write })
  if (outFile === undefined) return path
  await mkdir(dirname(outFile), { recursive: true })
  await copyFile(path, outFile)
  return outFile
}

interface Build {
  dir: string
  prefix: string
  kind: string
  write: Writer
}

async function build({ dir, prefix, kind, write }: Build): Promise<string> {
  const workDir = await mkdtemp(join(tmpdir(), 'zstack-guest-'))
  try {
    const boot = await makeBootFiles(workDir)
    const path = join(dir, `${prefix}${boot.kernelVersion}.${kind}`)
    // the name appears only when the content is whole, also with two builders at work
    const fresh = `${path}.${process.pid}`
    await write(workDir, boot, fresh)
    await rename(fresh, path)
    return path
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

async function recipeHash(): Promise<string> {
  const hash = createHash('sha256')
  for (const dir of [import.meta.dirname, GUEST_DIR, join(GUEST_DIR, 'cgi')]) {
    for (const entry of (await readdir(dir, { withFileTypes: true })).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      if (!entry.isFile() || entry.name.includes('.test.')) continue
      hash.update(`${entry.name}\0`).update(await readFile(join(dir, entry.name)))
    }
  }
  return hash.digest('hex').slice(0, 12)
}

async function writeDisk(workDir: string, boot: BootFiles, target: string): Promise<void> {
  const raw = join(workDir, 'disk.raw')
  const gap = Buffer.alloc((BOOT.firstSector - 1) * SECTOR)
  const partitions = [await bootPartition(workDir, boot), await dataPartition(workDir)]
  await writeFile(raw, Buffer.concat([await bootRecord(), gap, ...partitions]))
  await runCommand(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, target])
}

async function bootPartition(workDir: string, boot: BootFiles): Promise<Buffer> {
  const path = join(workDir, 'boot.fat')
  await writeFile(path, Buffer.alloc(BOOT.sectors * SECTOR))
  // the loader finds its partition by the count of sectors before it
  await runCommand(['mkfs.vfat', '-F', '16', '-s', '8', '-n', 'ZSBOOT', '-h', String(BOOT.firstSector), path])
  await runCommand(['syslinux', '--install', path])
  const files = { vmlinuz: boot.kernel, initrd: boot.initramfs, 'syslinux.cfg': Buffer.from(BOOT_MENU) }
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(workDir, name), content)
    await runCommand(['mcopy', '-i', path, join(workDir, name), `::${name}`])
  }
  return readFile(path)
}

async function dataPartition(workDir: string): Promise<Buffer> {
  const path = join(workDir, 'data.ext4')
  await writeFile(path, Buffer.alloc(DATA.sectors * SECTOR))
  await runCommand(['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', '-L', 'zsdata', path])
  return readFile(path)
}

async function bootRecord(): Promise<Buffer> {
  const record = Buffer.alloc(SECTOR)
  const loader = await readFile('/usr/lib/syslinux/mbr/mbr.bin')
  loader.copy(record, 0, 0, 440)
  for (const [index, { firstSector, sectors, type }] of [BOOT, DATA].entries()) {
    const at = 446 + 16 * index
    record[at] = index === 0 ? 0x80 : 0
    record[at + 4] = type
    record.writeUInt32LE(firstSector, at + 8)
    record.writeUInt32LE(sectors, at + 12)
  }
  record.writeUInt16LE(0xaa55, 510)
  return record
}

async function writeIso(workDir: string, boot: BootFiles, target: string): Promise<void> {
  const tree = join(workDir, 'iso')
  await mkdir(tree, { recursive: true })
  await copyFile('/usr/lib/ISOLINUX/isolinux.bin', join(tree, 'isolinux.bin'))
  await copyFile('/usr/lib/syslinux/modules/bios/ldlinux.c32', join(tree, 'ldlinux.c32'))
  await writeFile(join(tree, 'vmlinuz'), boot.kernel)
  await writeFile(join(tree, 'initrd'), boot.initramfs)
  await writeFile(join(tree, 'isolinux.cfg'), BOOT_MENU)
  const loader = [
    '-b',
    'isolinux.bin',
    '-c',
    'boot.cat',
    '-no-emul-boot',
    '-boot-load-size',
    '4',
    '-boot-info-table',
  ]
  await runCommand(['genisoimage', '-quiet', '-J', '-r', '-V', 'ZSGUEST', ...loader, '-o', target, tree])
}
