/**
 * One command line for the POSIX shell at the far end of SSH, which knows only strings: every argument in single quotes, so that
 * nothing in it means anything. Throws on NUL, which no argument can hold, and on an empty command.
 */
export function quoteCommand(argv: readonly string[]): string {
  if (argv.length === 0 || argv[0] === '') throw new Error('a remote command needs a program')
  return argv.map(quoteArgument).join(' ')
}

function quoteArgument(argument: string): string {
  if (argument.includes('\0')) throw new Error('an argument of a remote command holds a NUL byte')
  return `'${argument.replaceAll("'", "'\\''")}'`
}
