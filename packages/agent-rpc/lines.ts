/** Splits a byte stream into lines. Throws when a line is longer than `maxBytes`; what follows the last newline is dropped. */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  maxBytes = 64 * 1024 * 1024,
): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let length = 0
  for await (const chunk of chunks) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, at))
      yield Buffer.concat(parts).toString('utf8')
      parts = []
      length = 0
      from = at + 1
    }
    parts.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > maxBytes) throw new Error(`a line is longer than ${maxBytes} bytes`)
  }
}
