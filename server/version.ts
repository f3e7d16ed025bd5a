import { readFileSync } from 'node:fs'

/** Version of this management node, from the project's package.json. */
export const version = String(
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
    .version,
)
