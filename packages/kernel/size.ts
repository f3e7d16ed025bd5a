const units: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

/** Bytes of a size such as `512M` or `1073741824`. Throws when it is none, or larger than 2^53-1 bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+)([KMGT]?)$/i.exec(text.trim())
  if (match === null) throw new Error(`'${text}' is no size; write it like 512M or 1G`)
  const bytes = Number(match[1]) * (units[(match[2] ?? '').toUpperCase()] ?? 1)
  if (!Number.isSafeInteger(bytes)) throw new Error(`'${text}' is larger than any size that can be handled`)
  return bytes
}

/** A size for people: `1.5 GiB`. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < names.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${Number(value.toFixed(1))} ${names[unit]}`
}
