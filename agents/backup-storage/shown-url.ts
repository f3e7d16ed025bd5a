/** A URL fit for messages and logs: without credentials and without the query, which may be a signature. */
export function shownUrl(url: URL): string {
  return url.protocol === 'file:' ? `file://${url.pathname}` : `${url.origin}${url.pathname}`
}
