import type { Api } from '#contract'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { startVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import type { Ledger } from './ledger.ts'
import * as operations from './operations.ts'
import type { Outcome, PatientClient } from './patient-client.ts'
import type { Random } from './random.ts'

type Weights = readonly (readonly [weight: number, operation: operations.Operation])[]

const bagOf = (weights: Weights) =>
  weights.flatMap(([weight, operation]) => Array.from({ length: weight }, () => operation))

export const allOperations = bagOf([
  [12, operations.createVm],
  [8, operations.start],
  [8, operations.stop],
  [4, operations.reboot],
  [3, operations.pauseVm],
  [4, operations.resume],
  [5, operations.migrate],
  [2, operations.rename],
  [5, operations.destroy],
  [2, operations.destroyStopped],
  [2, operations.recover],
  [6, operations.expunge],
  [7, operations.createVolume],
  [8, operations.attach],
  [6, operations.detach],
  [3, operations.deleteVolume],
  [3, operations.expungeVolume],
  [2, operations.network],
  [4, operations.plugNic],
  [2, operations.host],
])

/** What is done on real hosts, where everything takes longer. */
export const realOperations = bagOf([
  [12, operations.createVm],
  [6, operations.start],
  [5, operations.stop],
  [3, operations.reboot],
  [2, operations.pauseVm],
  [4, operations.resume],
  [2, operations.migrate],
  [5, operations.destroy],
  [2, operations.destroyStopped],
  [1, operations.recover],
  [6, operations.expunge],
  [5, operations.createVolume],
  [6, operations.attach],
  [5, operations.detach],
  [2, operations.deleteVolume],
  [3, operations.expungeVolume],
  [2, operations.network],
  [4, operations.plugNic],
])

/** What a client does that has too many VMs, whatever states they are in. */
const tidying = [
  operations.destroy,
  operations.destroyStopped,
  operations.resume,
  operations.expunge,
] as const

/** Waits worth a line in the log. */
const LONG_MS = 8_000

export interface ClientOptions {
  readonly number: number
  readonly client: PatientClient
  readonly random: Random
  readonly ledger: Ledger
  readonly dc: operations.Scene['dc']
  /** What it does, the more often the more often it is in here. */
  readonly operations: readonly operations.Operation[]
  /** Having more VMs than this, it destroys one. */
  readonly manyVms: number
  /** VMs of all clients: sometimes one meddles with those of another. */
  readonly everybodys: Set<string>
  readonly isOver: () => boolean
  readonly log: (line: string) => void
}

/** One client that does one thing after the other until it is over. What it does is decided by its series of random numbers. */
export async function runClient(options: ClientOptions): Promise<void> {
  const { client, random, ledger, dc, number, everybodys } = options
  const own = { vms: [], volumes: [], network: undefined, host: undefined, number, hostsMade: 0 }
  const call = async (api: Api, input: Readonly<Record<string, unknown>>) => {
    const startedAt = performance.now()
    const outcome = await client.perform(api, input)
    const tookMs = performance.now() - startedAt
    ledger.count(api.name, outcome, { tookMs, isReal: options.operations === realOperations })
    if (tookMs > LONG_MS)
      options.log(`client ${number} waited ${Math.round(tookMs)} ms: ${api.name} ${tell(outcome)}`)
    return outcome
  }
  const stateOf = async (uuid: string) => {
    const [vm] = await client.query(queryVmInstance, [`uuid=${uuid}`])
    return vm === undefined ? 'gone' : String(vm.state)
  }
  const scene: operations.Scene = { dc, random, ledger, own, call, stateOf }
  while (!options.isOver()) {
    if (random.chance(0.03)) await meddle(scene, everybodys)
    else if (own.vms.length > options.manyVms) await random.pick(tidying)(scene)
    else await random.pick(options.operations)?.(scene)
    for (const { uuid } of own.vms as operations.Vm[]) everybodys.add(uuid)
  }
}

/** Does something to the VM of another, who is then no longer sure of it. */
async function meddle({ random, ledger, call }: operations.Scene, everybodys: Set<string>): Promise<void> {
  const uuid = random.pick([...everybodys].slice(-40))
  if (uuid === undefined) return
  ledger.doubt(uuid)
  const api = random.pick<Api>([startVmInstance, stopVmInstance, destroyVmInstance])
  await call(api, api === stopVmInstance ? { uuid, type: 'cold' } : { uuid })
}

function tell(outcome: Outcome): string {
  if (outcome.kind === 'ok') return 'was done'
  return outcome.kind === 'unknown'
    ? `has an unknown end, ${outcome.reason}`
    : `was refused, ${outcome.details}`
}
