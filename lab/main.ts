/**
 * The `lab` command. Failures of the lab are one line on stderr and exit status 1; a wrong command line is
 * status 2.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import { DEFAULT_LAB, type InitKind, type LabOptions } from './config.ts'
import { LabError } from './error.ts'
import { buildGuestImage, buildGuestIso } from './images/build-guest.ts'
import { createLab, type Lab, type LabStatus } from './lab.ts'

const USAGE = `usage: lab VERB [--name LAB]
  up [--hosts N] [--init mini|systemd] [--password P] [--no-nat] [--kvm]
                              make a lab, or what is missing of it
  down                        remove everything
  status [--json]
  exec HOST -- CMD...         run inside a host
  run -- CMD...               run in the switch: the management server's place (address .1)
  crash|start|freeze|thaw HOST
  cut|heal HOST [PEER]        all cables of a host, or the path to another host ('switch' = management server)
  image [--out FILE] [--iso]  build the small guest image; prints where it lies`

const OPTIONS = {
  name: { type: 'string', default: process.env.ZSTACK_LAB ?? DEFAULT_LAB },
  hosts: { type: 'string' },
  init: { type: 'string' },
  password: { type: 'string' },
  'no-nat': { type: 'boolean', default: false },
  kvm: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  out: { type: 'string' },
  iso: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

class UsageError extends Error {}

interface CommandLine {
  values: ReturnType<typeof parse>['values']
  words: string[]
  /** What follows `--`. */
  command: string[]
}

function parse(argv: string[]) {
  return parseArgs({ args: argv, options: OPTIONS, allowPositionals: true, strict: true })
}

function readCommandLine(argv: string[]): CommandLine {
  const split = argv.indexOf('--')
  const own = split < 0 ? argv : argv.slice(0, split)
  try {
    const { values, positionals } = parse(own)
    return { values, words: positionals, command: split < 0 ? [] : argv.slice(split + 1) }
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause })
  }
}

async function main(argv: string[]): Promise<number> {
  const line = readCommandLine(argv)
  const [verb, ...words] = line.words
  if (line.values.help || verb === undefined) {
    console.log(USAGE)
    return verb === undefined && !line.values.help ? 2 : 0
  }
  if (verb === 'image') return image(line)
  const lab = createLab(labOptions(line))
  if (verb === 'exec') return attach(await lab.host(need(words[0], 'HOST')).command(commandOf(line)))
  if (verb === 'run') return attach(lab.commandInSwitch(commandOf(line)))
  await act(lab, verb, line)
  return 0
}

async function act(lab: Lab, verb: string, { values, words: [, name, peer] }: CommandLine): Promise<void> {
  switch (verb) {
    case 'up': {
      const hosts = values.hosts === undefined ? {} : { hosts: Number(values.hosts) }
      return print(await lab.up(hosts), values.json)
    }
    case 'down':
      return lab.down()
    case 'status':
      return print(await lab.status(), values.json)
    case 'crash':
    case 'start':
    case 'freeze':
    case 'thaw':
      return lab.host(need(name, 'HOST'))[verb]()
    case 'cut':
    case 'heal':
      return lab.host(need(name, 'HOST'))[verb](peer)
    default:
      throw new UsageError(`unknown verb '${verb}'`)
  }
}

async function image({ values }: CommandLine): Promise<number> {
  const build = values.iso ? buildGuestIso : buildGuestImage
  console.log(await build(values.out))
  return 0
}

function labOptions({ values }: CommandLine): LabOptions {
  return {
    name: values.name,
    nat: !values['no-nat'],
    kvm: values.kvm,
    ...(values.init !== undefined && { init: values.init as InitKind }),
    ...(values.password !== undefined && { password: values.password }),
  }
}

function print(status: LabStatus, json: boolean): void {
  console.log(json ? JSON.stringify(status) : tableOf(status))
  if (status.nat && !status.nat.on) console.warn(`no way out of lab ${status.name}: ${status.nat.reason}`)
}

function tableOf(status: LabStatus): string {
  if (!status.up) return `lab ${status.name} is down`
  const rows = [{ name: 'HOST', address: 'ADDRESS', state: 'STATE' }, ...status.hosts]
  return rows.map((row) => `${row.name.padEnd(14)}${row.address.padEnd(17)}${row.state}`).join('\n')
}

function need(word: string | undefined, what: string): string {
  if (word === undefined) throw new UsageError(`${what} is missing`)
  return word
}

function commandOf({ command }: CommandLine): string[] {
  if (command.length === 0) throw new UsageError('the command is missing: write it after --')
  return command
}

/** Hands the terminal over to a command and takes its exit status. */
function attach([file, ...args]: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file as string, args, { stdio: 'inherit' })
    child.on('error', reject)
    child.on('close', (status, signal) => resolve(status ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError || error instanceof LabError)) throw error
  console.error(`lab: ${error.message}`)
  if (error instanceof UsageError) console.error(USAGE)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
