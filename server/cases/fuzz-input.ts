import type { Api, Field } from '#contract'

/** Values nobody should send, but somebody will: quotes, shells, paths, markup, control characters, other types, other sizes. */
export const nastyTexts: readonly string[] = [
  '',
  ' ',
  `'; DROP TABLE VmInstanceVO; --`,
  '"\\"`${7*7}{{7*7}}',
  '$(touch /tmp/zstack-fuzz)`id`|;&&',
  'line\nbreak\r\ndhcp-option=6,6.6.6.6',
  '../../../../etc/passwd',
  '/etc/../etc/./passwd//',
  'a\u0000b',
  '\u0000',
  '\u001b[31m\u0007\u0008',
  'x'.repeat(300),
  'y'.repeat(70_000),
  '\u{1f4a9}\u202e\u200b\u0301é',
  '\ud800',
  '<a b="c">&amp;<!--]]>',
  '%s%n%00%2e%2e%2f',
  '-rf',
  '--help',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  '-1',
  '1e309',
  '0x10',
  'http://127.0.0.1:1/a b\'"<x>',
  'file:///etc/shadow',
  'javascript:alert(1)',
  'http://user:secret@[::1]:99999/',
  '0.0.0.0',
  '255.255.255.255',
  '169.254.169.254',
  '999.1.1.1',
  '::ffff:127.0.0.1',
  '10.0.0.0/33',
  'ffffffffffffffffffffffffffffffff',
  'validationOnly',
]

export const nastyNumbers: readonly unknown[] = [
  -1,
  0,
  1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 53 - 1,
  2 ** 53,
  1e308,
  -(2 ** 53 - 1),
  0.5,
  '1e3',
  '0x10',
  '',
  'abc',
]

const deep = JSON.parse(`${'{"a":'.repeat(60)}1${'}'.repeat(60)}`) as unknown

/** Of every type, none of them right for most fields. */
export const wrongTypes: readonly unknown[] = [
  true,
  3.25,
  [],
  [[]],
  [null],
  {},
  { length: 3, toString: 'x' },
  JSON.parse('{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}'),
  deep,
  [deep, 'x'],
]

/** What to try in a field, the declared kind first. */
export function nastyValues(field: Field): unknown[] {
  switch (field.kind) {
    case 'int':
    case 'long':
    case 'timestamp':
      return [...nastyNumbers, ...wrongTypes]
    case 'list': {
      const one =
        field.constraints.element === undefined ? nastyTexts : nastyValues(field.constraints.element)
      return [...one.map((value) => [value]), nastyTexts, ...wrongTypes]
    }
    case 'map':
      return [...nastyTexts.map((text) => ({ [text]: text, x: [text] })), ...wrongTypes]
    default:
      return [...nastyTexts, ...wrongTypes]
  }
}

const plain: Readonly<Record<string, unknown>> = {
  url: 'http://images.example/tiny.qcow2?size=67108864&actual=16777216',
  hostname: '127.0.0.1',
  managementIp: '127.0.0.1',
  startIp: '10.98.0.10',
  endIp: '10.98.0.20',
  netmask: '255.255.255.0',
  gateway: '10.98.0.1',
  networkCidr: '10.97.0.0/24',
  dns: '10.9.9.9',
  ip: '10.99.0.77',
  cidr: '10.97.0.0/24',
  format: 'qcow2',
  hypervisorType: 'Simulator',
  tag: 'some-tag',
  resourceType: 'VmInstanceVO',
  diskSize: 2 ** 30,
  memorySize: 2 ** 27,
  physicalInterface: 'eth7',
  sshPort: 1,
  sessionUuid: `${'e'.repeat(12)}4eeea${'e'.repeat(15)}`,
}

/** Without these most calls would end before the nasty value is looked at, or wait for a machine that is not there. */
const alwaysGiven = new Set([
  'sshPort',
  'instanceOfferingUuid',
  'imageUuid',
  'l3NetworkUuids',
  'diskOfferingUuid',
])

/** A call of `api` that is sound as far as declarations tell: what is mandatory, and what exists. */
export function soundInput(
  api: Api,
  existing: (voName: string) => string | undefined,
): Record<string, unknown> {
  const needed = ({ required, constraints }: Field) => required && constraints.default === undefined
  const entries = Object.entries(api.input)
    .filter(([name, field]) => needed(field) || alwaysGiven.has(name))
    .map(([name, field]) => [name, soundValue(name, field, existing)])
  return Object.fromEntries(entries)
}

function soundValue(name: string, field: Field, existing: (voName: string) => string | undefined): unknown {
  const { resource, choices, range, element } = field.constraints
  // The session that all other calls are made with must live on.
  if (name === 'sessionUuid') return plain[name]
  if (resource !== undefined) return existing(resource) ?? `${'f'.repeat(12)}4fffa${'f'.repeat(15)}`
  if (choices !== undefined) return choices[0]
  if (field.kind === 'list') return element === undefined ? [] : [soundValue(name, element, existing)]
  if (Object.hasOwn(plain, name)) return plain[name]
  if (field.kind === 'map' || field.kind === 'struct') return {}
  if (field.kind === 'boolean') return false
  if (field.kind === 'string') return 'sound'
  return Math.min(Math.max(1, range?.[0] ?? 1), range?.[1] ?? 1)
}
