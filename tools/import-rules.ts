/**
 * Which part of the repository may import which, as data. Layers point down only:
 * kernel <- contract <- engines <- plugins <- server; agents and clients know contracts, never each other's code.
 */

/** A place in the repository: `unit` is what must not be left by a relative import (`plugins/volume`, `packages/db`, `cli`). */
export type Place = { unit: string; kind: string; isContract: boolean }

export function placeOf(path: string): Place {
  const [top = '', name = '', inner = ''] = path.split('/')
  if (top === 'packages')
    return { unit: `${top}/${name}`, kind: packageKinds[name] ?? 'engine', isContract: false }
  if (top === 'plugins') return { unit: `${top}/${name}`, kind: 'plugin', isContract: inner === 'contract' }
  if (top === 'agents') {
    return { unit: `${top}/${name}`, kind: agentKinds[name] ?? 'agent', isContract: inner === 'contract' }
  }
  return { unit: top, kind: top, isContract: false }
}

/** Packages that are not engines. An agent carries `agent base` packages to its host, besides kernel and contract. */
const packageKinds: Record<string, string> = {
  kernel: 'kernel',
  contract: 'contract',
  'agent-rpc': 'agent base',
  'agent-files': 'agent base',
  client: 'client',
  testkit: 'testkit',
}

/** Beside the roles: their fakes, and the tests that real ones and fakes must both pass. */
const agentKinds: Record<string, string> = { simulator: 'simulator', conformance: 'conformance' }

const engines = ['kernel', 'contract', 'agent base', 'engine']
const client = ['kernel', 'contract', 'client', 'plugin contract']
const everything = [
  ...[...engines, 'client', 'testkit', 'plugin', 'plugin contract', 'agent', 'agent contract'],
  ...['simulator', 'conformance', 'server', 'cli', 'lab', 'bench', 'tools', 'e2e'],
]

const forTests = ['testkit', 'client', 'simulator', 'conformance']

/** Kinds a file of a kind may import, besides its own unit. */
const allowed: Record<string, readonly string[]> = {
  kernel: [],
  contract: ['kernel'],
  'agent base': ['kernel', 'contract', 'agent base'],
  engine: [...engines, 'agent contract'],
  client: ['kernel', 'contract', 'plugin contract'],
  testkit: everything,
  'plugin contract': ['kernel', 'contract', 'agent base', 'plugin contract', 'agent contract'],
  plugin: [...engines, 'plugin contract', 'agent contract'],
  'agent contract': ['kernel', 'contract', 'agent base', 'agent contract'],
  agent: ['kernel', 'contract', 'agent base', 'agent contract'],
  simulator: ['kernel', 'contract', 'agent base', 'agent contract'],
  conformance: ['kernel', 'contract', 'agent base', 'agent contract', 'testkit'],
  server: [...engines, 'client', 'plugin', 'plugin contract', 'agent contract', 'lab', 'tools'],
  cli: client,
  ctl: client,
  zsha: client,
  ui: client,
  lab: ['kernel', 'contract', 'agent base', 'client', 'plugin contract', 'agent contract'],
  tools: ['kernel', 'contract', 'client', 'plugin contract', 'agent contract', 'lab'],
  bench: everything,
  e2e: everything,
}

/** Why a file of `from` may not import `to`, or undefined when it may. */
export function refuseImport(
  from: Place,
  to: Place,
  circumstance: { isType: boolean; isTest: boolean; isCase: boolean },
): string | undefined {
  if (circumstance.isCase) return undefined
  const fromKind = kindOf(from)
  const toKind = kindOf(to)
  const permitted = [...(allowed[fromKind] ?? []), ...(circumstance.isTest ? forTests : [])]
  if (permitted.includes(toKind)) return undefined
  // The one plugin that brings simulated hosts into a cloud.
  if (from.unit === 'plugins/simulator' && toKind === 'simulator') return undefined
  // A contract may speak of an engine's types (an extension point's context) and declare extension points.
  if (fromKind === 'plugin contract' && toKind === 'engine') {
    if (circumstance.isType || to.unit === 'packages/plugin-host') return undefined
  }
  if (toKind === 'plugin' || toKind === 'agent') {
    return `${from.unit} may import only ${to.unit}/contract, not its code`
  }
  return `${fromKind} must not import ${toKind} (it may import: ${permitted.join(', ') || 'nothing'})`
}

function kindOf(place: Place): string {
  return place.isContract ? `${place.kind} contract` : place.kind
}
