import type { CallContext } from '#agent-rpc'
import { CloudError, describeError, sysErrors } from '#kernel'
import type { LibvirtConnection } from '../libvirt/connection.ts'
import type { VmContext } from '../libvirt/deps.ts'
import { mustExist, withDomain, withDomainOn } from '../libvirt/domain.ts'
import { loadLibvirt, type Pointer } from '../libvirt/ffi.ts'
import type { MigrationCall } from './params.ts'

const PROGRESS_EVERY_MS = 500

/** Moves the VM as described; when it throws, the VM runs on here. Gives how long the guest stood still. */
export async function migrateDomain(
  vm: VmContext,
  vmUuid: string,
  call: MigrationCall,
  context: CallContext,
): Promise<number | undefined> {
  const end = new AbortController()
  const following = followJob(vm, vmUuid, context, end.signal)
  try {
    vm.watch.takeDowntimeMs(vmUuid)
    await vm.client.useLong((connection) => runMigration(connection, vmUuid, call, context.signal))
  } finally {
    end.abort()
    await following
  }
  await vm.watch.settled(vmUuid, 'Stopped')
  return vm.watch.takeDowntimeMs(vmUuid)
}

function runMigration(
  connection: LibvirtConnection,
  vmUuid: string,
  call: MigrationCall,
  signal: AbortSignal,
): Promise<void> {
  return withDomainOn(connection, vmUuid, async (found) => {
    const domain = mustExist(found, vmUuid, 'migrate it')
    if (domain.state !== 'Running' && domain.state !== 'Paused')
      throw new CloudError(sysErrors.changeState, `cannot migrate VM ${vmUuid} in state ${domain.state}`)
    signal.throwIfAborted()
    const { api } = loadLibvirt()
    const list: [Pointer | null] = [null]
    const count: [number] = [0]
    const capacity: [number] = [0]
    try {
      for (const [name, value] of Object.entries(call.params))
        if (api.paramsAddString(list, count, capacity, name, value) < 0)
          throw new Error(`libvirt does not take the migration parameter ${name}`)
      await connection.callOn(
        `migrate VM ${vmUuid}`,
        api.domainMigrateToUri3,
        domain.pointer,
        call.destinationUri,
        list[0],
        count[0],
        call.flags,
      )
    } finally {
      if (list[0] !== null) api.paramsFree(list[0], count[0])
    }
  })
}

/** Reports progress until `end`, and stops the migration when the caller gave up. */
async function followJob(
  vm: VmContext,
  vmUuid: string,
  context: CallContext,
  end: AbortSignal,
): Promise<void> {
  while (!end.aborted) {
    await pause(PROGRESS_EVERY_MS, context.signal.aborted ? [end] : [end, context.signal])
    if (end.aborted) return
    try {
      if (context.signal.aborted) await abortJob(vm, vmUuid)
      else await reportProgress(vm, vmUuid, context)
    } catch (error) {
      // The job may not have begun, or just ended: the migration itself tells how it went, and aborting is tried again.
      vm.logger.debug({ vmUuid, reason: describeError(error) }, 'the migration job cannot be asked')
    }
  }
}

function abortJob(vm: VmContext, vmUuid: string): Promise<void> {
  return withDomain(vm.client, vmUuid, async (domain) => {
    if (domain === undefined) return
    const { api } = loadLibvirt()
    await domain.connection.callOn(`stop migrating VM ${vmUuid}`, api.domainAbortJob, domain.pointer)
  })
}

function reportProgress(vm: VmContext, vmUuid: string, context: CallContext): Promise<void> {
  return withDomain(vm.client, vmUuid, async (domain) => {
    if (domain === undefined) return
    const { api } = loadLibvirt()
    const type: [number] = [0]
    const list: [Pointer | null] = [null]
    const count: [number] = [0]
    const what = `ask how far the migration of VM ${vmUuid} is`
    await domain.connection.callOn(what, api.domainGetJobStats, domain.pointer, type, list, count, 0)
    if (list[0] === null) return
    const total = readNumber(list[0], count[0], 'data_total')
    const remaining = readNumber(list[0], count[0], 'data_remaining')
    api.paramsFree(list[0], count[0])
    // A busy guest makes memory dirty again; only libvirt's end is the end.
    if (total !== undefined && total > 0 && remaining !== undefined)
      context.progress(Math.min(99, Math.floor((100 * (total - remaining)) / total)))
  })
}

function readNumber(list: Pointer, count: number, name: string): number | undefined {
  const value: [number] = [0]
  return loadLibvirt().api.paramsGetULLong(list, count, name, value) === 1 ? Number(value[0]) : undefined
}

function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    for (const signal of signals) {
      if (signal.aborted) done()
      else signal.addEventListener('abort', done, { once: true })
    }
  })
}
