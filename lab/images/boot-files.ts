/** Kernel and initramfs of the lab's guest, from Debian's cloud kernel, busybox and the scripts in guest/. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { runCommand } from '../command.ts'
import { LabError } from '../error.ts'
import { type ArchiveEntry, directory, file, link, packArchive, program } from './cpio.ts'
import { concretePackage, unpackPackage } from './debian-package.ts'

export interface BootFiles {
  kernelVersion: string
  kernel: Buffer
  initramfs: Buffer
}

export const GUEST_DIR = join(import.meta.dirname, 'guest')

/** ext4 and PCI hot-plug are built into the cloud kernel; it has no driver for q35's own SATA controller. */
const MODULES = [
  ...['virtio_pci', 'virtio_blk', 'virtio_scsi', 'sd_mod', 'sr_mod', 'isofs', 'ata_piix'],
  ...['virtio_net', 'virtio_console', 'virtio_balloon', 'virtio-rng', 'button', 'evdev'],
]
const PLACES: Record<string, string> = { init: 'init', inittab: 'etc/inittab' }
const DIRECTORIES = ['bin', 'sbin', 'etc', 'etc/acpi', 'etc/acpi/PWRF', 'lib', 'lib/m', 'www', 'www/cgi-bin']

/**
 * Downloads the packages (27 MB, kept in the cache) and packs the files; `workDir` is the caller's to
 * remove.
 */
export async function makeBootFiles(workDir: string): Promise<BootFiles> {
  const root = join(workDir, 'packages')
  await unpackPackage(await concretePackage('linux-image-cloud-amd64', 'linux-image-'), root)
  await unpackPackage('busybox-static', root)
  const [kernelVersion] = await readdir(join(root, 'lib/modules'))
  if (!kernelVersion) throw new LabError('the kernel package brought no modules')
  const entries = [
    ...DIRECTORIES.map(directory),
    program('bin/busybox', await readFile(join(root, 'bin/busybox'))),
    link('sbin/init', '/bin/busybox'),
    ...(await scripts()),
    ...(await modules(root, kernelVersion)),
  ]
  const level = { params: { [constants.ZSTD_c_compressionLevel]: 19 } }
  return {
    kernelVersion,
    kernel: await readFile(join(root, 'boot', `vmlinuz-${kernelVersion}`)),
    initramfs: zstdCompressSync(packArchive(entries), level),
  }
}

async function scripts(): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [
    file('etc/passwd', Buffer.from('root::0:0:root:/root:/bin/sh\n')),
    file('etc/group', Buffer.from('root:x:0:\n')),
    program('etc/acpi/PWRF/00000080', Buffer.from('#!/bin/sh\nexec /etc/off poweroff\n')),
    link('www/user-data', '/run/user-data'),
    link('www/disks', '/run/disks'),
  ]
  for (const name of await readdir(GUEST_DIR)) {
    if (name === 'cgi') continue
    entries.push(program(PLACES[name] ?? `etc/${name}`, await readFile(join(GUEST_DIR, name))))
  }
  for (const name of await readdir(join(GUEST_DIR, 'cgi'))) {
    entries.push(program(`www/cgi-bin/${name}`, await readFile(join(GUEST_DIR, 'cgi', name))))
  }
  return entries
}

/** The modules with all they need, numbered in the order in which the guest has to load them. */
async function modules(root: string, kernelVersion: string): Promise<ArchiveEntry[]> {
  await runCommand(['depmod', '-b', root, kernelVersion])
  const paths = new Set<string>()
  for (const name of MODULES) {
    const needs = await runCommand(['modprobe', '-d', root, '-S', kernelVersion, '--show-depends', name])
    for (const line of needs.stdout.split('\n')) {
      const path = line.match(/^insmod (\S+)/)?.[1]
      if (path) paths.add(path)
    }
  }
  const numbered = [...paths].map(async (path, index) => {
    return file(`lib/m/${index + 100}-${path.split('/').at(-1)}`, await readFile(path))
  })
  return Promise.all(numbered)
}
