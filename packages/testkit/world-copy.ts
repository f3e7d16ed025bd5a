import { createSimulatedBackupStorage } from '#agents/simulator/backup-storage.ts'
import type { SimulatedFiles } from '#agents/simulator/files.ts'
import { createSimulatedHost, type SimulatedHost } from '#agents/simulator/kvm-host.ts'
import { createSimulatedWorld, type SimulatedWorld } from '#agents/simulator/world.ts'

/** A world of its own in the same state: what is arranged once is used many times. Knobs are not copied. */
export function copyWorld(world: SimulatedWorld): SimulatedWorld {
  const copy = createSimulatedWorld()
  for (const original of world.hosts.values()) copyHost(copy, original)
  for (const { address, port, state } of world.backupStorages.values()) {
    const { totalBytes: totalDiskBytes } = state.files.space
    copyFiles(
      state.files,
      createSimulatedBackupStorage({ world: copy, address, port, totalDiskBytes }).state.files,
    )
  }
  return copy
}

function copyHost(world: SimulatedWorld, { address, port, state: from }: SimulatedHost): void {
  const { facts, acceleration } = from
  const { totalBytes: totalDiskBytes } = from.files.space
  const { state: to } = createSimulatedHost({ world, address, port, facts, acceleration, totalDiskBytes })
  to.facts = structuredClone(facts)
  to.startedAtMs = from.startedAtMs
  to.usedMemoryBytes = from.usedMemoryBytes
  copyFiles(from.files, to.files)
  const maps = ['vms', 'diskUsers', 'tapUsers', 'bridges', 'networks', 'incoming'] as const
  for (const name of maps) {
    const target = to[name] as Map<string, unknown>
    for (const [key, value] of from[name]) target.set(key, structuredClone(value))
  }
}

function copyFiles(from: SimulatedFiles, to: SimulatedFiles): void {
  for (const root of from.roots) {
    to.addRoot(root, from.storageOf(root) ?? '')
    for (const { path } of from.list(root)) {
      const file = from.get(path)
      if (file !== undefined) to.put(path, file)
    }
  }
}
