import { find } from '#db'
import { CloudError, describeError, steadyNow } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { deletionPolicy, expungeInterval, expungePeriod } from './contract/configs.ts'
import { destroyVmInstance, expungeVmInstance, recoverVmInstance } from './contract/deletion-apis.ts'
import { vmErrors } from './contract/errors.ts'
import { vmKey } from './contract/messages.ts'
import { vmInstance } from './contract/resources.ts'
import { vmCan, vmState } from './contract/states.ts'
import { requireState } from './handlers.ts'
import { findVm, getVm, patchVm } from './store.ts'
import { destroyVmWorkflow, expungeVmWorkflow } from './workflows/remove.ts'

const key = (input: { uuid: string }) => vmKey(input.uuid)

export function handleDeletion(ctx: PluginContext): void {
  const destroy = ctx.workflow(destroyVmWorkflow(ctx))
  const expunge = ctx.workflow(expungeVmWorkflow(ctx))

  ctx.handle(
    destroyVmInstance,
    async ({ uuid }, call) => {
      const vm = await getVm(ctx.db, uuid)
      const isDirect = ctx.config.get(deletionPolicy) === 'Direct'
      // A repeat goes on where the call before it was cut off.
      if (vm.state !== vmState.destroyed) {
        requireState(vm, vmCan.destroy, 'destroyed')
        const there = { vmUuid: uuid, hostUuid: vm.hostUuid }
        if (!isDirect) return call.run(destroy, there)
        await ctx.workflows.run(destroy, there)
      }
      return isDirect ? call.run(expunge, { vmUuid: uuid }) : {}
    },
    { key },
  )
  ctx.handle(
    recoverVmInstance,
    async ({ uuid }) => {
      const vm = await getVm(ctx.db, uuid)
      requireState(vm, vmCan.recover, 'recovered')
      if (vm.rootVolumeUuid === undefined) {
        const details = `the root volume of the VM ${vm.name}[uuid:${uuid}] was removed when it was to be expunged; expunge it again`
        throw new CloudError(vmErrors.wrongState, details)
      }
      await ctx.db.write((tx) => patchVm(tx, uuid, { state: vmState.stopped, deletedAt: undefined }))
      return { inventory: await ctx.query.view(vmInstance, uuid) }
    },
    { key },
  )
  ctx.handle(
    expungeVmInstance,
    async ({ uuid }, call) => {
      const vm = await findVm(ctx.db, uuid)
      if (vm === undefined) throw new CloudError(vmErrors.wrongState, `the VM ${uuid} does not exist`)
      requireState(vm, vmCan.expunge, 'expunged')
      return call.run(expunge, { vmUuid: uuid })
    },
    { key },
  )
  ctx.every(
    'expunge VMs',
    () => ctx.config.get(expungeInterval),
    async () => {
      if (ctx.config.get(deletionPolicy) !== 'Delay') return
      const before = steadyNow() - ctx.config.get(expungePeriod) * 1000
      for (const vm of await find(ctx.db, vmInstance, { state: vmState.destroyed })) {
        if ((vm.deletedAt ?? before) >= before) continue
        if (ctx.cluster.owns(vmKey(vm.uuid)))
          await ctx.bus.enter(vmKey(vm.uuid), 'expunge', () => expungeQuietly(vm.uuid))
      }
    },
    'each node',
  )

  async function expungeQuietly(uuid: string): Promise<void> {
    if ((await findVm(ctx.db, uuid))?.state !== vmState.destroyed) return
    try {
      await ctx.workflows.run(expunge, { vmUuid: uuid })
    } catch (error) {
      ctx.log.warn(
        { vmUuid: uuid, err: describeError(error) },
        'a destroyed VM could not be expunged; it is tried again',
      )
    }
  }
}
