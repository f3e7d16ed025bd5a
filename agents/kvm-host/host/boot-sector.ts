/** What the tiny guest prints on its serial port when it really ran. */
export const BOOT_SECTOR_MARK = 'Z'
/** Exit code of QEMU when the guest wrote 0x2a to the isa-debug-exit device: (0x2a << 1) | 1. */
export const BOOT_SECTOR_EXIT = 0x55

const code = [
  ...[0xba, 0xf8, 0x03], //       mov dx, 0x3f8      first serial port
  ...[0xb0, BOOT_SECTOR_MARK.charCodeAt(0)], // mov al, 'Z'
  0xee, //                        out dx, al
  ...[0xb0, 0x2a], //             mov al, 0x2a
  ...[0xba, 0xf4, 0x00], //       mov dx, 0xf4       isa-debug-exit
  0xee, //                        out dx, al
  0xf4, //                        hlt
  ...[0xeb, 0xfd], //             jmp to the hlt
]

/** A boot sector that prints one character and asks the debug device to end the machine. */
export function buildBootSector(): Buffer {
  const sector = Buffer.alloc(512)
  Buffer.from(code).copy(sector)
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}
