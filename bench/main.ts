import { describeError } from '#kernel'
import { atSize } from './at-size.ts'
import { createVm } from './create-vm.ts'
import { databases } from './databases.ts'
import { growVms } from './grow-vms.ts'
import { heartbeat } from './heartbeat.ts'
import { inFlight } from './in-flight.ts'
import { lifecycle } from './lifecycle.ts'
import { nodes } from './nodes.ts'
import { query } from './query.ts'
import { realVm } from './real-vm.ts'
import { start } from './start.ts'
import { takeover } from './takeover.ts'

/** One measurement: prints its table, or one JSON object, on stdout and its progress on stderr. */
interface Bench {
  readonly summary: string
  readonly run: (args: readonly string[]) => Promise<void>
}

const benches: Readonly<Record<string, Bench>> = {
  'at-size': atSize,
  'create-vm': createVm,
  databases,
  'grow-vms': growVms,
  heartbeat,
  'in-flight': inFlight,
  lifecycle,
  nodes,
  query,
  'real-vm': realVm,
  start,
  takeover,
}

function help(): string {
  const lines = Object.entries(benches).map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`)
  return `usage: ./zstack bench NAME [OPTIONS]     (NAME --help tells the options)\n\n${lines.join('\n')}\n`
}

const [name = 'help', ...args] = process.argv.slice(2)
const bench = benches[name]
if (name === 'help' || name === '--help' || name === '-h') {
  process.stdout.write(help())
} else if (bench === undefined) {
  process.stderr.write(`bench: there is no '${name}'\n\n${help()}`)
  process.exitCode = 2
} else {
  try {
    await bench.run(args)
  } catch (error) {
    process.stderr.write(`bench ${name}: ${describeError(error)}\n`)
    process.exitCode = 1
  }
}
