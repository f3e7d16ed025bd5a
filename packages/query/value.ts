import type { Field } from '#contract'
import type { SqlValue } from '#db'
import { CloudError, sysErrors } from '#kernel'

/** Reads the text of a condition as the type of the field it is compared with. */
export function readValue(field: Field, text: string, path: string): SqlValue {
  switch (field.kind) {
    case 'int':
    case 'long':
      return readNumber(text, path)
    case 'boolean':
      if (text !== 'true' && text !== 'false') throw bad(path, `is true or false, not '${text}'`)
      return text === 'true' ? 1 : 0
    case 'timestamp':
      return readTime(text, path)
    default:
      return text
  }
}

function readNumber(text: string, path: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw bad(path, `is a number, not '${text}'`)
  return value
}

// `2026-01-31 12:00:00` in the server's zone, as existing clients send it; plain milliseconds work too.
function readTime(text: string, path: string): number {
  if (/^\d{10,}$/.test(text)) return Number(text)
  const value = new Date(text.replace(' ', 'T')).getTime()
  if (Number.isNaN(value)) throw bad(path, `is a time like '2026-01-31 12:00:00', not '${text}'`)
  return value
}

function bad(path: string, reason: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `the value compared with '${path}' ${reason}`, {
    opaque: { field: path },
  })
}
