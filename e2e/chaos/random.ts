/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** 0 to `below` - 1. */
  int(below: number): number
  chance(probability: number): boolean
  pick<T>(all: readonly [T, ...T[]]): T
  pick<T>(all: readonly T[]): T | undefined
  /** Another series, the same for the same name, whatever was drawn here before. */
  fork(name: string): Random
}

export function createRandom(seed: number | string): Random {
  let state = hash(`${seed}`)
  const next = () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (below: number) => Math.floor(next() * below)
  return {
    int,
    chance: (probability) => next() < probability,
    pick: <T>(all: readonly T[]) => all[int(all.length)] as T,
    fork: (name) => createRandom(`${seed}/${name}`),
  }
}

function hash(text: string): number {
  let value = 0x81_1c_9d_c5
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01_00_01_93)
  return value
}
