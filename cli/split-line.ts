const WORD = /(?:[^\s"'\\]|\\.|\\$|"(?:\\.|[^"\\])*"?|'[^']*'?)+/gs
const PART = /\\(.)|"((?:\\.|[^"\\])*)"?|'([^']*)'?/gs

/** Splits a typed line into words as a shell does: quotes group, a backslash keeps the next character. */
export function splitLine(line: string): string[] {
  return [...line.matchAll(WORD)].map(([word]) =>
    word.replace(PART, (_all, kept?: string, double?: string, single?: string) => {
      return kept ?? double?.replace(/\\(.)/gs, '$1') ?? single ?? ''
    }),
  )
}
