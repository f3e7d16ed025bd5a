import { type Database, find, findOne, get, insert, notNull, oneOf, update } from '#db'
import { CloudError, newUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import { type L2Workflows, refuseWithL3 } from './cluster-workflows.ts'
import { createL2NoVlanNetwork, deleteL2Network, updateL2Network } from './contract/apis.ts'
import { attachL2NetworkToCluster, detachL2NetworkFromCluster } from './contract/cluster-apis.ts'
import { l2Errors } from './contract/errors.ts'
import { l2Network, l2NetworkClusterRef } from './contract/resources.ts'

// What Linux allows for the name of an interface, less what agents refuse because it could be mistaken for something else.
const INTERFACE = /^(?!\.{1,2}$)[\w.-]{1,15}$/

/** Attachments under way: their hosts are not ready for VMs yet. */
export type Attaching = Set<string>
export const attachmentKey = (l2NetworkUuid: string, clusterUuid: string) => `${l2NetworkUuid}:${clusterUuid}`

/** Serves the APIs of L2 networks. */
export function handleL2Networks(ctx: PluginContext, workflows: L2Workflows, attaching: Attaching): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(l2Network, uuid) })
  const key = (input: { uuid: string }) => `l2:${input.uuid}`
  const attachKey = (input: { l2NetworkUuid: string }) => `l2:${input.l2NetworkUuid}`

  ctx.handle(createL2NoVlanNetwork, async (input) => {
    checkKind(input)
    const uuid = input.resourceUuid ?? newUuid()
    await createWithTags(ctx, { type: 'L2NetworkVO', uuid }, input, () => addNetwork(db, uuid, input))
    return view(uuid)
  })

  ctx.handle(
    updateL2Network,
    async ({ uuid, name, description }) => {
      const patch = {
        ...(name === undefined ? {} : { name }),
        ...(description === undefined ? {} : { description }),
      }
      await db.write((tx) => update(tx, l2Network, { uuid }, { ...patch, lastOpDate: Date.now() }))
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    deleteL2Network,
    async ({ uuid }, call) => {
      await refuseWithL3(db, uuid)
      const refs = await find(db, l2NetworkClusterRef, { l2NetworkUuid: uuid })
      return call.run(workflows.remove, { uuid, refs })
    },
    { key },
  )

  ctx.handle(
    attachL2NetworkToCluster,
    async ({ l2NetworkUuid, clusterUuid, l2ProviderType = 'LinuxBridge' }, call) => {
      await checkAttach(db, l2NetworkUuid, clusterUuid)
      const now = Date.now()
      const ref = { l2NetworkUuid, clusterUuid, l2ProviderType, createDate: now, lastOpDate: now }
      const pair = attachmentKey(l2NetworkUuid, clusterUuid)
      attaching.add(pair)
      try {
        return await call.run(workflows.attach, { ref })
      } finally {
        attaching.delete(pair)
      }
    },
    { key: attachKey },
  )

  ctx.handle(
    detachL2NetworkFromCluster,
    async ({ l2NetworkUuid, clusterUuid }, call) => {
      const ref = await findOne(db, l2NetworkClusterRef, { l2NetworkUuid, clusterUuid })
      if (ref === undefined) {
        const what = `L2 network[uuid:${l2NetworkUuid}] is not attached to cluster[uuid:${clusterUuid}]`
        throw new CloudError(sysErrors.invalidArgument, what)
      }
      await refuseRunningVms(db, l2NetworkUuid, clusterUuid)
      return call.run(workflows.detach, { ref })
    },
    { key: attachKey },
  )
}

interface CreateInput {
  readonly name: string
  readonly description?: string | undefined
  readonly zoneUuid: string
  readonly physicalInterface: string
  readonly type?: string | undefined
  readonly vSwitchType: string
  readonly isolated: boolean
  readonly pvlan?: string | undefined
}

function checkKind(input: CreateInput): void {
  const { physicalInterface, type = 'L2NoVlanNetwork', vSwitchType, isolated, pvlan } = input
  if (!INTERFACE.test(physicalInterface)) {
    const reason = `'${physicalInterface}' is not the name of an interface: up to 15 letters, digits, dots, dashes, underscores`
    throw new CloudError(sysErrors.invalidArgument, `field[physicalInterface] ${reason}`, {
      opaque: { field: 'physicalInterface' },
    })
  }
  const refuse = (what: string) =>
    new CloudError(sysErrors.noCapability, `cannot create the L2 network: ${what}`)
  if (type !== 'L2NoVlanNetwork') throw refuse(`this call makes the type L2NoVlanNetwork, not '${type}'`)
  if (vSwitchType !== 'LinuxBridge')
    throw refuse(`no plugin provides vSwitchType ${vSwitchType}; LinuxBridge is known`)
  if (isolated || pvlan !== undefined) throw refuse('isolated networks and private VLANs are not supported')
}

async function addNetwork(db: Database, uuid: string, input: CreateInput): Promise<void> {
  const { name, description, zoneUuid, physicalInterface, vSwitchType } = input
  const now = Date.now()
  await db.write((tx) =>
    insert(tx, l2Network, {
      uuid,
      name,
      description,
      zoneUuid,
      physicalInterface,
      type: 'L2NoVlanNetwork',
      vSwitchType,
      virtualNetworkId: 0,
      isolated: false,
      createDate: now,
      lastOpDate: now,
    }),
  )
}

async function checkAttach(db: Database, l2NetworkUuid: string, clusterUuid: string): Promise<void> {
  const network = await get(db, l2Network, l2NetworkUuid)
  const target = await get(db, cluster, clusterUuid)
  const what = `L2 network '${network.name}'[uuid:${network.uuid}]`
  const where = `cluster '${target.name}'[uuid:${target.uuid}]`
  if (network.zoneUuid !== target.zoneUuid) {
    throw new CloudError(l2Errors.attach, `${what} and ${where} are in different zones`)
  }
  if ((await findOne(db, l2NetworkClusterRef, { l2NetworkUuid, clusterUuid })) !== undefined) {
    throw new CloudError(l2Errors.attach, `${what} is attached to ${where} already`)
  }
}

/** A VM on a host of the cluster would lose its network. */
async function refuseRunningVms(db: Database, l2NetworkUuid: string, clusterUuid: string): Promise<void> {
  const l3s = await find(db, l3Network, { l2NetworkUuid })
  if (l3s.length === 0) return
  const running = await find(db, vmInstance, { clusterUuid, hostUuid: notNull })
  const names: string[] = []
  for (const vm of running) {
    const where = { vmInstanceUuid: vm.uuid, l3NetworkUuid: oneOf(l3s.map((l3) => l3.uuid)) }
    if ((await findOne(db, vmNic, where)) !== undefined) names.push(`'${vm.name}'[uuid:${vm.uuid}]`)
  }
  if (names.length === 0) return
  const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '')
  const { name } = await get(db, l2Network, l2NetworkUuid)
  const details = `L2 network '${name}'[uuid:${l2NetworkUuid}] carries running VMs of cluster[uuid:${clusterUuid}]: ${shown}; stop or migrate them first`
  throw new CloudError(sysErrors.operationFailed, details)
}
