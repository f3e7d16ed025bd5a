/** The candidate most like `word`, or undefined when none comes close: the beginning first, then fewest edits. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  const lower = word.toLowerCase()
  const scored = candidates.map((candidate) => ({
    candidate,
    distance: distance(lower, candidate.toLowerCase()),
  }))
  scored.sort((a, b) => a.distance - b.distance)
  const best = scored[0]
  const limit = Math.max(2, Math.ceil(word.length / 3))
  if (best !== undefined && best.distance <= limit) return best.candidate
  return candidates.find((candidate) => lower !== '' && candidate.toLowerCase().startsWith(lower))
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_unused, i) => i)
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j += 1) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
