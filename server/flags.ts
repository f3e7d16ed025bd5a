/**
 * Reads `--name VALUE` and `--name=VALUE` for the given flags, and `--name` for switches, whose value is then `true`. Adds one line to `problems` for each thing that is wrong, all of them at
 * once; Node's own parser ends at the first.
 */
export function readFlags<Name extends string>(
  argv: readonly string[],
  known: { readonly flags: readonly Name[]; readonly switches: readonly Name[] },
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
    const isSwitch = known.switches.some((name) => `--${name}` === option)
    const isValue = !isSwitch && words[0] !== undefined && !words[0].startsWith('-')
    const value = inline ?? (isValue ? words.shift() : isSwitch ? 'true' : undefined)
    const name = [...known.flags, ...known.switches].find((one) => `--${one}` === option)
    if (name === undefined) problems.push(`there is no option ${option}`)
    else if (value === undefined || value === '') problems.push(`${option} needs a value`)
    else if (values[name] !== undefined) problems.push(`${option} is given twice`)
    else values[name] = value
  }
  return values
}
