/**
 * Reads a map or list as JSON or as Python spells it: single quotes, True, False, None, trailing commas. The original's tool
 * evaluates such values as Python, so existing scripts hold them; nothing is evaluated here. Throws SyntaxError.
 */
export function parseLiteral(text: string): unknown {
  const tokens = tokenize(text)
  const reader = { tokens, at: 0 }
  const value = readValue(reader)
  if (reader.at < tokens.length) throw new SyntaxError(`unexpected ${tokens[reader.at]?.text}`)
  return value
}

interface Token {
  readonly kind: 'string' | 'word' | 'mark'
  readonly text: string
}

interface Reader {
  readonly tokens: readonly Token[]
  at: number
}

const PATTERN = /\s*(?:([[\]{}(),:])|u?"((?:[^"\\]|\\.)*)"|u?'((?:[^'\\]|\\.)*)'|([\w.+-]+))/suy
const words: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  null: null,
  None: null,
}
const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  const pattern = new RegExp(PATTERN)
  while (pattern.lastIndex < text.trimEnd().length) {
    const from = pattern.lastIndex
    const found = pattern.exec(text)
    if (found === null) throw new SyntaxError(`cannot read ${text.slice(from, from + 20)}`)
    const [, mark, double, single, word] = found
    if (mark !== undefined) tokens.push({ kind: 'mark', text: mark })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word })
    else tokens.push({ kind: 'string', text: withoutEscapes(double ?? single ?? '') })
  }
  return tokens
}

function withoutEscapes(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gsu, (_all, code?: string, plain = '') =>
    code === undefined ? (escapes[plain] ?? plain) : String.fromCharCode(Number.parseInt(code, 16)),
  )
}

function readValue(reader: Reader): unknown {
  const token = reader.tokens[reader.at]
  reader.at += 1
  if (token === undefined) throw new SyntaxError('it ends too early')
  if (token.kind === 'string') return token.text
  if (token.kind === 'word') return readWord(token.text)
  if (token.text === '{') return readMap(reader)
  if (token.text === '[') return readList(reader, ']')
  if (token.text === '(') return readList(reader, ')')
  throw new SyntaxError(`unexpected ${token.text}`)
}

function readWord(text: string): unknown {
  if (Object.hasOwn(words, text)) return words[text]
  const number = Number(text)
  if (Number.isNaN(number)) throw new SyntaxError(`${text} must be quoted`)
  return number
}

function readList(reader: Reader, end: string): unknown[] {
  const items: unknown[] = []
  while (!skip(reader, end)) {
    items.push(readValue(reader))
    if (!skip(reader, ',') && reader.tokens[reader.at]?.text !== end)
      throw new SyntaxError(`${end} is missing`)
  }
  return items
}

function readMap(reader: Reader): Record<string, unknown> {
  const entries: [string, unknown][] = []
  while (!skip(reader, '}')) {
    const key = readValue(reader)
    if (!skip(reader, ':')) throw new SyntaxError(`: is missing after ${key}`)
    entries.push([String(key), readValue(reader)])
    if (!skip(reader, ',') && reader.tokens[reader.at]?.text !== '}') throw new SyntaxError('} is missing')
  }
  return Object.fromEntries(entries)
}

function skip(reader: Reader, mark: string): boolean {
  const token = reader.tokens[reader.at]
  if (token?.kind !== 'mark' || token.text !== mark) return false
  reader.at += 1
  return true
}
