import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CloudError } from '#kernel'
import { inspectQcow2Header, refuseOutwardQcow2 } from './qcow2-header.ts'

interface Crafted {
  version?: number
  clusterBits?: number
  sizeBytes?: bigint
  cryptMethod?: number
  features?: bigint
  headerBytes?: number
  backing?: { offset: bigint; name: string; length?: number }
  extensions?: readonly (readonly [type: number, data: string, length?: number])[]
}

function craft(of: Crafted = {}): Buffer {
  const bytes = Buffer.alloc(4096)
  bytes.write('QFI\xfb', 0, 'latin1')
  bytes.writeUInt32BE(of.version ?? 3, 4)
  bytes.writeUInt32BE(of.clusterBits ?? 16, 20)
  bytes.writeBigUInt64BE(of.sizeBytes ?? 1n << 30n, 24)
  bytes.writeUInt32BE(of.cryptMethod ?? 0, 32)
  const headerBytes = of.headerBytes ?? (of.version === 2 ? 72 : 104)
  if (of.version !== 2) {
    bytes.writeBigUInt64BE(of.features ?? 0n, 72)
    bytes.writeUInt32BE(headerBytes, 100)
  }
  let at = headerBytes
  for (const [type, data, length] of of.extensions ?? []) {
    bytes.writeUInt32BE(type, at)
    bytes.writeUInt32BE(length ?? data.length, at + 4)
    bytes.write(data, at + 8)
    at += 8 + Math.ceil(data.length / 8) * 8
  }
  if (of.backing !== undefined) {
    bytes.writeBigUInt64BE(of.backing.offset, 8)
    bytes.writeUInt32BE(of.backing.length ?? of.backing.name.length, 16)
    if (of.backing.offset < 4000n) bytes.write(of.backing.name, Number(of.backing.offset))
  }
  return bytes
}

const judge = (bytes: Buffer) => refuseOutwardQcow2(inspectQcow2Header(bytes))

test('sound headers of both versions pass', () => {
  for (const version of [2, 3]) {
    const header = inspectQcow2Header(craft({ version }))
    assert.equal(header.version, version)
    assert.equal(header.virtualSizeBytes, 2 ** 30)
    assert.doesNotThrow(() => refuseOutwardQcow2(header))
  }
  // Dirty, zstd compression, extended L2; feature names and bitmaps: all QEMU's own and harmless.
  judge(
    craft({
      features: 0b11001n,
      extensions: [
        [0x6803f857, 'x'.repeat(48)],
        [0x23852875, 'y'.repeat(24)],
      ],
    }),
  )
})

test('what leads out of the file is refused by name', () => {
  const at = (name: string) => ({ offset: 600n, name })
  const cases: [Crafted, RegExp][] = [
    [{ backing: at('/etc/passwd') }, /overlay on the backing file "\/etc\/passwd"/],
    [{ version: 2, backing: at('/etc/shadow') }, /\/etc\/shadow/],
    [
      { backing: at('json:{"driver":"file","filename":"/etc/passwd"}') },
      /overlay on the backing file "json:/,
    ],
    [{ backing: at('nbd://10.0.0.1/x') }, /nbd:/],
    [{ backing: { offset: 600n, name: '' } }, /overlay on the backing file ""/],
    [{ features: 4n }, /external data file/],
    [{ extensions: [[0x44415441, '/etc/passwd']] }, /external data file/],
    [
      {
        extensions: [
          [0x6803f857, 'names'],
          [0x44415441, '/etc/passwd'],
        ],
      },
      /external data file/,
    ],
    [{ version: 2, extensions: [[0x44415441, '/etc/passwd']] }, /external data file/],
    [{ headerBytes: 112, extensions: [[0x44415441, '/etc/passwd']] }, /external data file/],
    [{ cryptMethod: 1 }, /encrypted/],
    [{ cryptMethod: 2 }, /encrypted/],
    [{ extensions: [[0x0537be77, 'x'.repeat(16)]] }, /encrypted/],
    [{ features: 2n }, /marked as corrupt/],
    [{ features: 1n << 5n }, /bits 0x20/],
    [{ features: 1n << 63n }, /unknown features/],
  ]
  for (const [crafted, why] of cases) assert.throws(() => judge(craft(crafted)), why, String(why))
})

test('broken headers are refused', () => {
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /magic/],
    [Buffer.from('KDMV'.repeat(50)), /magic/],
    [craft().subarray(0, 71), /ends within the header/],
    [craft().subarray(0, 103), /ends within the header/],
    [craft({ version: 1 }), /version 1/],
    [craft({ version: 4 }), /version 4/],
    [craft({ clusterBits: 8 }), /cluster size/],
    [craft({ clusterBits: 22 }), /cluster size/],
    [craft({ clusterBits: 0xffffffff }), /cluster size/],
    [craft({ headerBytes: 8 }), /header claims/],
    [craft({ sizeBytes: 1n << 63n }), /virtual size/],
    [craft({ backing: { offset: 1n << 40n, name: 'x' } }), /outside the header/],
    [craft({ backing: { offset: 600n, name: 'x', length: 5000 } }), /outside the header/],
    [craft({ extensions: [[0x6803f857, 'x', 0xffffffff]] }), /header extension/],
  ]
  for (const [bytes, why] of cases) assert.throws(() => judge(bytes), why, String(why))
})

test('whatever the bytes, the answer is a header or a CloudError', () => {
  const start = craft()
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 30 }),
      fc.nat(4096),
      (changes, length) => {
        const bytes = Buffer.from(start.subarray(0, length))
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        try {
          inspectQcow2Header(bytes)
        } catch (error) {
          assert.ok(error instanceof CloudError, String(error))
        }
      },
    ),
    { numRuns: 500 },
  )
})
