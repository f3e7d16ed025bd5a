/**
 * SHA-512 of a text as lower-case hex, the form in which passwords are sent. Browsers offer theirs only on https and localhost;
 * a management node reached by plain http needs this one, which takes the constants from their definition: the fraction bits
 * of the square and cube roots of the first primes.
 */
export async function sha512(text) {
  const bytes = new TextEncoder().encode(text)
  const digest = globalThis.crypto?.subtle
    ? new Uint8Array(await globalThis.crypto.subtle.digest('SHA-512', bytes))
    : sha512Bytes(bytes)
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

const MASK = (1n << 64n) - 1n
const rotate = (x, n) => ((x >> n) | (x << (64n - n))) & MASK

function primes(count) {
  const found = []
  for (let n = 2; found.length < count; n += 1) if (found.every((p) => n % p !== 0)) found.push(n)
  return found.map(BigInt)
}

/** The first 64 bits behind the point of the `power`-th root of n. */
function rootFraction(n, power) {
  const target = n << (64n * power)
  let low = 0n
  let high = n << 64n
  while (low < high) {
    const middle = (low + high + 1n) >> 1n
    if (middle ** power <= target) low = middle
    else high = middle - 1n
  }
  return low & MASK
}

let constants

/** SHA-512 without the browser's help. Exported for its test. */
export function sha512Bytes(bytes) {
  constants ??= {
    start: primes(8).map((p) => rootFraction(p, 2n)),
    rounds: primes(80).map((p) => rootFraction(p, 3n)),
  }
  const words = padded(bytes)
  let state = constants.start
  for (let at = 0; at < words.length; at += 16) state = mix(state, words.slice(at, at + 16))
  const digest = new DataView(new ArrayBuffer(64))
  for (const [i, word] of state.entries()) digest.setBigUint64(i * 8, word)
  return new Uint8Array(digest.buffer)
}

function padded(bytes) {
  const length = Math.ceil((bytes.length + 17) / 128) * 128
  const view = new DataView(new ArrayBuffer(length))
  const all = new Uint8Array(view.buffer)
  all.set(bytes)
  all[bytes.length] = 0x80
  view.setBigUint64(length - 8, BigInt(bytes.length) * 8n)
  return Array.from({ length: length / 8 }, (_, i) => view.getBigUint64(i * 8))
}

function mix(state, block) {
  const w = [...block]
  for (let i = 16; i < 80; i += 1) {
    const s0 = rotate(w[i - 15], 1n) ^ rotate(w[i - 15], 8n) ^ (w[i - 15] >> 7n)
    const s1 = rotate(w[i - 2], 19n) ^ rotate(w[i - 2], 61n) ^ (w[i - 2] >> 6n)
    w.push((w[i - 16] + s0 + w[i - 7] + s1) & MASK)
  }
  let [a, b, c, d, e, f, g, h] = state
  for (let i = 0; i < 80; i += 1) {
    const sum1 = rotate(e, 14n) ^ rotate(e, 18n) ^ rotate(e, 41n)
    const choice = (e & f) ^ (~e & MASK & g)
    const first = h + sum1 + choice + constants.rounds[i] + w[i]
    const sum0 = rotate(a, 28n) ^ rotate(a, 34n) ^ rotate(a, 39n)
    const majority = (a & b) ^ (a & c) ^ (b & c)
    h = g
    g = f
    f = e
    e = (d + first) & MASK
    d = c
    c = b
    b = a
    a = (first + sum0 + majority) & MASK
  }
  return [a, b, c, d, e, f, g, h].map((word, i) => (word + state[i]) & MASK)
}
