import { CloudError } from '#kernel'
import { parseCondition, type QueryRequest } from '#query'
import { HttpFailure } from './reply.ts'

/** Reads the query string of a Query API. Throws HttpFailure(400) naming what is wrong. */
export function readQueryRequest(pairs: readonly (readonly [string, string])[]): QueryRequest {
  const single = (name: string): string | undefined => {
    const values = pairs.filter(([key]) => key === name).map(([, value]) => value.trim())
    if (values.length > 1)
      throw new HttpFailure(400, `the parameter '${name}' is given ${values.length} times`)
    return values[0]
  }
  if (pairs.some(([key]) => key === 'filterName'))
    throw new HttpFailure(400, "the parameter 'filterName' is not supported; use q=__systemTag__~=...")
  const conditions = new Set(pairs.filter(([key]) => key === 'q').map(([, value]) => value))
  const fields = single('fields')
    ?.split(',')
    .map((field) => field.trim())
    .filter((field) => field !== '')
  return {
    conditions: [...conditions].map(readCondition),
    limit: readCount('limit', single('limit')),
    start: readCount('start', single('start')),
    count: readFlag('count', single('count')),
    replyWithCount: readFlag('replyWithCount', single('replyWithCount')),
    fields: fields?.length === 0 ? undefined : fields,
    ...readSort(single('sort')),
  }
}

function readCondition(text: string): QueryRequest['conditions'][number] {
  try {
    return parseCondition(text)
  } catch (error) {
    if (error instanceof CloudError) throw new HttpFailure(400, error.details)
    throw error
  }
}

function readCount(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new HttpFailure(400, `the parameter '${name}' must be a whole number of 0 or more, got '${text}'`)
  return value
}

function readFlag(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined || text === '') return undefined
  if (text !== 'true' && text !== 'false')
    throw new HttpFailure(400, `the parameter '${name}' must be true or false, got '${text}'`)
  return text === 'true'
}

// A literal `+` in a URL reads as a space; trimmed away it still means ascending.
function readSort(text: string | undefined): Pick<QueryRequest, 'sortBy' | 'sortDirection'> {
  if (text === undefined || text === '') return {}
  const sortBy = text.replace(/^[+-]\s*/, '')
  return { sortBy, sortDirection: text.startsWith('-') ? 'desc' : 'asc' }
}
