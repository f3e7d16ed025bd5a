/**
 * Reads `--name VALUE` and `--name=VALUE` for the given names. Adds one line to `problems` for each thing that is wrong, all of them at
 * once; Node's own parser ends at the first.
 */
export function readFlags<Name extends string>(
  argv: readonly string[],
  names: readonly Name[],
  problems: string[],
): Partial<Record<Name, string>> {
  const values: Partial<Record<Name, string>> = {}
  const words = [...argv]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, option, inline] = /^(-[^=]*)(?:=(.*))?$/s.exec(word) ?? []
    if (option === undefined) {
      problems.push(`'${word}' is not expected here; a value follows its option: --name VALUE`)
      continue
    }
    const isValue = words[0] !== undefined && !words[0].startsWith('-')
    const value = inline ?? (isValue ? words.shift() : undefined)
    const name = names.find((known) => `--${known}` === option)
    if (name === undefined) problems.push(`there is no option ${option}`)
    else if (value === undefined || value === '') problems.push(`${option} needs a value`)
    else if (values[name] !== undefined) problems.push(`${option} is given twice`)
    else values[name] = value
  }
  return values
}
