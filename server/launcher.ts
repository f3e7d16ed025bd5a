import { describeError } from '#kernel'
import { destroy } from './commands/destroy.ts'
import { down } from './commands/down.ts'
import { logs } from './commands/logs.ts'
import { status } from './commands/status.ts'
import { up } from './commands/up.ts'

const verbs: Readonly<Record<string, (argv: readonly string[]) => Promise<void>>> = {
  up,
  down,
  destroy,
  status,
  logs,
}

const [verb = '', ...argv] = process.argv.slice(2)
const run = verbs[verb]
if (run === undefined) {
  process.stderr.write(`zstack: no command '${verb}'; there are ${Object.keys(verbs).join(', ')}\n`)
  process.exit(2)
}
try {
  await run(argv)
} catch (error) {
  process.stderr.write(`\nzstack ${verb}: ${describeError(error)}\n`)
  process.exit(1)
}
