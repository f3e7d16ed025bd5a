import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkImageContent, type ImageFormat } from './image-content.ts'

function file(parts: Record<number, string> = {}, end = ''): { start: Buffer; end: Buffer } {
  const start = Buffer.alloc(65536, 1)
  for (const [at, text] of Object.entries(parts)) start.write(text, Number(at), 'latin1')
  const tail = Buffer.alloc(512)
  tail.write(end, 'latin1')
  return { start, end: tail }
}

test('what is as said passes', () => {
  checkImageContent('raw', file())
  checkImageContent('raw', file({ 510: '\x55\xaa' }))
  checkImageContent('iso', file({ 32769: 'CD001' }))
  checkImageContent('iso', file({ 32769: 'BEA01' }))
})

test('another format than said is refused with what it is', () => {
  const cases: [ImageFormat, ReturnType<typeof file>, RegExp][] = [
    ['raw', { start: Buffer.alloc(0), end: Buffer.alloc(0) }, /it is empty/],
    ['raw', file({ 0: 'QFI\xfb' }), /qcow2 file by its contents; register it as qcow2/],
    ['iso', file({ 0: 'QFI\xfb', 32769: 'CD001' }), /qcow2 file/],
    ['raw', file({ 0: 'KDMV' }), /VMDK file by its contents; convert/],
    ['qcow2', file({ 0: 'KDMV' }), /VMDK/],
    ['raw', file({ 0: '# Disk DescriptorFile\nversion=1\n' }), /VMDK descriptor/],
    [
      'qcow2',
      file({ 0: '# Disk DescriptorFile\nversion=1\nRW 1 FLAT "/etc/passwd" 0\n' }),
      /VMDK descriptor/,
    ],
    ['raw', file({ 0: '\n# anything\n  \nversion=1\n' }), /VMDK descriptor/],
    ['raw', file({ 0: 'conectix' }), /VHD/],
    ['raw', file({}, 'conectix'), /VHD/],
    ['raw', file({ 0: 'vhdxfile' }), /VHDX/],
    ['raw', file({ 64: '\x7f\x10\xda\xbe' }), /VDI/],
    ['raw', file({ 0: 'QED\0' }), /QED/],
    ['raw', file({}, 'koly'), /DMG/],
    ['raw', file({ 0: 'LUKS\xba\xbe' }), /LUKS/],
    ['raw', file({ 0: '\x1f\x8b\x08' }), /compressed with gzip; decompress/],
    ['qcow2', file({ 0: '\xfd7zXZ\0' }), /compressed with xz/],
    ['raw', file({ 0: '\n<!DOCTYPE HTML>' }), /web page/],
    ['qcow2', file(), /no qcow2 magic/],
    ['iso', file(), /no ISO 9660/],
    ['iso', { start: Buffer.alloc(100, 1), end: Buffer.alloc(100) }, /no ISO 9660/],
  ]
  for (const [format, bytes, why] of cases) {
    assert.throws(() => checkImageContent(format, bytes), { code: 'SYS.1007', message: why }, String(why))
  }
})
