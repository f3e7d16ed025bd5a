import type { FlatNetwork, Lease } from './flat-network-spec.ts'

/** What a path of the metadata service answers. */
export interface MetadataAnswer {
  readonly body: string
  readonly type: 'text/plain' | 'application/octet-stream' | 'application/json'
}

/** Versions listed at `/`. Any dated version is an alias of `latest`, as clients probe for the ones they know. */
const VERSIONS = ['1.0', '2007-01-19', '2009-04-04', '2016-09-02', '2018-09-24', '2021-03-23', 'latest']
const VERSION = /^(?:1\.0|\d{4}-\d{2}-\d{2}|latest)$/

/**
 * The answer for `path` (without query) to the VM of `lease`, or undefined where EC2 has 404. A folder is listed with or without
 * a trailing slash, its folders ending in `/`; a value has no trailing slash. `public-keys/` lists `<index>=<name>` as EC2 does.
 */
export function answerMetadata(network: FlatNetwork, lease: Lease, path: string): MetadataAnswer | undefined {
  const words = path.split('/').filter((word) => word !== '')
  const [version, section, ...rest] = words
  if (version === undefined) return list(VERSIONS)
  if (!VERSION.test(version)) return undefined
  const slash = path.endsWith('/')
  if (section === undefined) {
    return list(['dynamic', 'meta-data', ...(lease.userData === undefined ? [] : ['user-data'])])
  }
  if (section === 'user-data') {
    if (lease.userData === undefined || rest.length > 0 || slash) return undefined
    return { body: lease.userData, type: 'application/octet-stream' }
  }
  if (section === 'meta-data') return answerValue(metadataValues(network, lease), rest, slash)
  if (section === 'dynamic') return answerDynamic(network, lease, rest, slash)
  return undefined
}

/** Every value below meta-data/: what follows from the NIC, overridden by what the management gave. */
export function metadataValues(network: FlatNetwork, lease: Lease): ReadonlyMap<string, string> {
  const name = lease.hostname ?? `ip-${lease.ip.replaceAll('.', '-')}`
  const fullName = network.domain === undefined ? name : `${name}.${network.domain}`
  const derived = {
    'instance-id': lease.vmUuid,
    hostname: fullName,
    'local-hostname': fullName,
    'local-ipv4': lease.ip,
    mac: lease.mac,
  }
  return new Map(Object.entries({ ...derived, ...lease.metadata }))
}

function answerValue(
  values: ReadonlyMap<string, string>,
  words: readonly string[],
  slash: boolean,
): MetadataAnswer | undefined {
  const path = words.join('/')
  const value = values.get(path)
  if (value !== undefined) return slash ? undefined : { body: value, type: 'text/plain' }
  const below = path === '' ? '' : `${path}/`
  const entries = new Set<string>()
  for (const key of values.keys()) {
    if (!key.startsWith(below)) continue
    const [entry = '', ...deeper] = key.slice(below.length).split('/')
    entries.add(path === 'public-keys' ? `${entry}=key-${entry}` : deeper.length > 0 ? `${entry}/` : entry)
  }
  return entries.size === 0 ? undefined : list([...entries].sort())
}

/** The identity document: cloud-init logs a warning when it is missing. */
function answerDynamic(
  network: FlatNetwork,
  lease: Lease,
  words: readonly string[],
  slash: boolean,
): MetadataAnswer | undefined {
  const values = metadataValues(network, lease)
  const document = {
    version: '2017-09-30',
    instanceId: values.get('instance-id'),
    privateIp: lease.ip,
    imageId: values.get('ami-id'),
    instanceType: values.get('instance-type'),
    availabilityZone: values.get('placement/availability-zone'),
  }
  const tree = new Map([['instance-identity/document', JSON.stringify(document, undefined, 2)]])
  const answer = answerValue(tree, words, slash)
  return words.length === 2 && answer !== undefined ? { ...answer, type: 'application/json' } : answer
}

function list(entries: readonly string[]): MetadataAnswer {
  return { body: entries.join('\n'), type: 'text/plain' }
}
