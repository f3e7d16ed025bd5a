import type { Resource } from '#contract'
import { host } from '#plugins/host/contract/resources.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import type { QueryCondition, QueryRequest } from '#query'

/** One kind of question; `ask(k)` gives the k-th of its kind, so that no two ask for the same rows. */
export interface Question {
  readonly name: string
  /** 99 of 100 shall be answered within this, with a million VMs. */
  readonly aimMs: number
  readonly resource: Resource
  /** How many are asked, of `rounds`. */
  readonly share: number
  readonly ask: (k: number) => QueryRequest
}

export interface Asked {
  readonly vms: number
  readonly hosts: number
  readonly vmUuids: readonly string[]
}

const is = (name: string, value: string): QueryCondition => ({ name, op: '=', value })

const POINT_MS = 3
const LIST_MS = 20
const JOIN_MS = 50
const COUNT_MS = 300

const aboutVms = (name: string, aimMs: number, ask: Question['ask'], share = 1): Question => ({
  name,
  aimMs,
  share,
  ask,
  resource: vmInstance,
})
const newest = { sortBy: 'createDate', sortDirection: 'desc' } as const
const networksOf = ({ vms }: Asked) => Math.ceil(vms / 10_000)
const clustersOf = ({ hosts }: Asked) => Math.ceil(hosts / 100)
const nth = (kind: string, k: number, count: number) => `${kind}-${1 + (k % count)}`

/** The questions of a cloud made by `makeBigCloud`. */
export function questionsAbout(asked: Asked): Question[] {
  return [...points(asked), ...pages(asked), ...joins(asked), ...counts(asked)]
}

function points(asked: Asked): Question[] {
  const { vms, vmUuids } = asked
  const addressOf = (k: number) => `10.${k % networksOf(asked)}.0.${11 + (k % 200)}`
  return [
    aboutVms('VM by uuid', POINT_MS, (k) => ({
      conditions: [is('uuid', vmUuids[k % vmUuids.length] ?? '')],
    })),
    aboutVms('VM by name', POINT_MS, (k) => ({ conditions: [is('name', nth('vm', k * 7919, vms - 1))] })),
    {
      ...aboutVms('NIC by address', POINT_MS, (k) => ({ conditions: [is('ip', addressOf(k))] })),
      resource: vmNic,
    },
  ]
}

function pages(asked: Asked): Question[] {
  const page = (k: number) => ({ limit: 100, start: (k * 37) % Math.min(2_000, asked.vms - 100) })
  const running = [is('state', 'Running')]
  const team = (k: number) => [is('__userTag__', `team-${1 + (k % 10)}`)]
  return [
    aboutVms('page of 100, as they come', LIST_MS, (k) => ({ conditions: [], ...page(k) })),
    aboutVms('page of 100, newest first', LIST_MS, (k) => ({ conditions: [], ...newest, ...page(k) })),
    aboutVms('page of 100, by name', LIST_MS, (k) => ({ conditions: [], sortBy: 'name', ...page(k) })),
    aboutVms('page of 100 Running, newest', LIST_MS, (k) => ({ conditions: running, ...newest, ...page(k) })),
    aboutVms('100 of a user tag', LIST_MS, (k) => ({ conditions: team(k), limit: 100 })),
  ]
}

function joins(asked: Asked): Question[] {
  const networks = networksOf(asked)
  const cluster = (k: number) => is('cluster.name', nth('cluster', k, clustersOf(asked)))
  const four = (k: number) => [
    is('zone.name', 'zone'),
    is('host.name', nth('host', k, asked.hosts - 1)),
    // The network of a VM there.
    is('vmNics.l3Network.name', nth('l3', k, networks)),
    is('allVolumes.primaryStorage.type', 'SimulatorPrimaryStorage'),
  ]
  const path = (k: number) => [
    is('vmNics.l3Network.l2Network.name', nth('l2', k, networks)),
    is('image.name', nth('image', k, 20)),
  ]
  const near = (k: number) => [is('cluster.l2Network.l3Network.name', nth('l3', k, networks))]
  return [
    aboutVms('four joins: zone, host, network, storage', JOIN_MS, (k) => ({
      conditions: four(k),
      limit: 100,
    })),
    aboutVms('path of three tables, and an image', JOIN_MS, (k) => ({ conditions: path(k), limit: 100 })),
    aboutVms('page of a cluster, newest first', JOIN_MS, (k) => ({
      conditions: [cluster(k)],
      ...newest,
      limit: 100,
    })),
    {
      ...aboutVms('hosts of a network', JOIN_MS, (k) => ({ conditions: near(k), limit: 100 })),
      resource: host,
    },
  ]
}

function counts(asked: Asked): Question[] {
  const networks = networksOf(asked)
  const zone = is('zone.name', 'zone')
  const cluster = (k: number) => is('cluster.name', nth('cluster', k, clustersOf(asked)))
  const network = (k: number) => is('vmNics.l3Network.name', nth('l3', k, networks))
  const image = (k: number) => is('image.name', nth('image', k, 20))
  const count = (name: string, ask: (k: number) => QueryCondition[]) =>
    aboutVms(name, COUNT_MS, (k) => ({ conditions: ask(k), count: true }), 0.2)
  return [
    count('count all', () => []),
    count('count of a cluster', (k) => [cluster(k)]),
    count('count of a network, Running', (k) => [network(k), is('state', 'Running')]),
    count('count of an image in a zone', (k) => [image(k), zone]),
    count('count of all in a zone', () => [zone]),
  ]
}
