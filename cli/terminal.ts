/** Where the tool writes and how wide it is; tests and the interactive mode give their own. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Whether a person watches the error output, so that progress makes sense. */
  readonly isWatched: boolean
  /** Columns of the output, undefined when it is no terminal. */
  readonly columns: number | undefined
}

export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader of a pipe has seen enough, as in `zstack-cli … | head`.
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(text),
    isWatched: process.stderr.isTTY === true,
    columns: process.stdout.isTTY === true ? process.stdout.columns : undefined,
  }
}

/** Columns a text takes: East Asian characters take two. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += WIDE.test(character) ? 2 : 1
  return width
}

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

// Names come from other users; an escape sequence in one must not reach the terminal.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

export function harmless(text: string): string {
  return text.replace(CONTROL, ' ')
}
