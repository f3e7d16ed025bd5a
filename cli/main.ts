import { connect } from './connection.ts'
import { openHome } from './home.ts'
import { runInteractive } from './interactive.ts'
import { parseOptions } from './options.ts'
import { exitCodes, printFailure } from './print-failure.ts'
import { type CliDeps, runCommand } from './run-command.ts'
import { processTerminal, type Terminal } from './terminal.ts'
import { createSay, type Say } from './texts.ts'

/** The command line client under its original name: exit code 0 good, 1 wrong command, 3 the API failed. */
async function main(argv: readonly string[], terminal: Terminal, say: Say): Promise<number> {
  try {
    const options = parseOptions(argv, say)
    const { host, port, isTable, isJson, words, wantsHelp } = options
    const deps: CliDeps = {
      connection: connect(host, port, say),
      home: openHome(process.env),
      terminal,
      say,
      isTable,
      isJson,
    }
    if (words.length === 0 && !wantsHelp) await runInteractive(deps, options.keepPasswords)
    else await runCommand(deps, words, wantsHelp)
    return exitCodes.good
  } catch (error) {
    return printFailure(error, terminal, say)
  }
}

process.exitCode = await main(process.argv.slice(2), processTerminal(), createSay(process.env))
