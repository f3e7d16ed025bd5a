import type { AgentHandlers, CallInput } from '#agent-rpc'
import type { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { migrateVm } from '#agents/kvm-host/contract/vm.ts'
import type { SimulatedFiles } from './files.ts'
import { type HostCore, impossible, type SimulatedVm } from './host-state.ts'
import { beginDomain, endDomain } from './vm-domain.ts'
import { aliveDomain } from './vm-power.ts'
import { dial } from './world.ts'

type MigrationArea = 'prepareMigration' | 'migrateVm' | 'cleanMigration'

/** Live migration to another host of the same world. It happens at one instant: there is never a half-arrived VM. */
export function createMigrationHandlers(
  core: HostCore,
): Pick<AgentHandlers<typeof kvmHostCalls>, MigrationArea> {
  const { state } = core
  return {
    prepareMigration: async ({ vmUuid, migrationUuid }) => {
      if (state.vms.has(vmUuid)) {
        throw impossible(core, `cannot expect VM ${vmUuid} by migration: it is here already`)
      }
      state.incoming.set(migrationUuid, vmUuid)
      return {}
    },
    migrateVm: (input, context) => migrate(core, input, context.progress),
    cleanMigration: async ({ migrationUuid }) => {
      state.incoming.delete(migrationUuid)
      return {}
    },
  }
}

async function migrate(
  core: HostCore,
  input: CallInput<typeof migrateVm>,
  progress: (percent: number) => void,
): Promise<{ downtimeMs?: number }> {
  const { vmUuid, migrationUuid, destination } = input
  const target = (await dial(core.world.hosts, destination.address, destination.port)).core
  const vm = aliveDomain(core, vmUuid, 'migrate')
  if (target === core) throw impossible(core, `cannot migrate VM ${vmUuid} to the host it runs on`)
  if (target.state.incoming.get(migrationUuid) !== vmUuid) {
    throw impossible(core, `cannot migrate VM ${vmUuid}: ${target.name} does not expect ${migrationUuid}`)
  }
  for (const { installPath } of vm.disks) checkCopy(core, target, vm, installPath)
  const arriving: SimulatedVm = { ...vm }
  beginDomain(target, arriving, { reason: 'migrated', byAgent: true })
  if (input.withStorage) copyTopLayers(core.state.files, target.state.files, vm)
  endDomain(core, vmUuid, { reason: 'migrated', byAgent: true })
  progress(100)
  return { downtimeMs: 0 }
}

function checkCopy(core: HostCore, target: HostCore, vm: SimulatedVm, path: string): void {
  const here = core.state.files.get(path)?.virtualSizeBytes
  const there = target.state.files.get(path)?.virtualSizeBytes
  if (there !== undefined && there === here) return
  const found = there === undefined ? 'has no such file' : `has it with ${there} bytes, not ${here}`
  throw impossible(core, `cannot migrate VM ${vm.spec.vmUuid}: disk ${path}: ${target.name} ${found}`)
}

function copyTopLayers(from: SimulatedFiles, to: SimulatedFiles, vm: SimulatedVm): void {
  for (const { installPath } of vm.disks) {
    const source = from.get(installPath)
    const copy = to.get(installPath)
    if (source === undefined || copy === undefined) continue
    to.put(installPath, { ...copy, actualSizeBytes: source.actualSizeBytes })
  }
}
