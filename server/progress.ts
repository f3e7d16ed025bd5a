/** Tells people what is going on, one line for each step with the time it took. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  if (process.stderr.isTTY) process.stderr.write(`  … ${what}`)
  try {
    const result = await work()
    line('✓', what, begun)
    return result
  } catch (error) {
    line('✗', what, begun)
    throw error
  }
}

function line(mark: string, what: string, begun: number): void {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  process.stderr.write(`${process.stderr.isTTY ? '\r\u001b[2K' : ''}  ${mark} ${what} (${seconds} s)\n`)
}
