import { bool, choice, defineConfig, type Field, int } from '#contract'

const seconds = (low: number): Field<number, true> => int('Seconds.', [low, 31_536_000])

export const cacheMode = defineConfig({
  category: 'kvm',
  name: 'vm.cacheMode',
  description:
    'How hosts cache what VMs write: none, writethrough or writeback. Seen by a VM at its next start.',
  field: choice('Cache mode.', ['none', 'writethrough', 'writeback']),
  defaultValue: 'none' as 'none' | 'writethrough' | 'writeback',
})

export const deletionPolicy = defineConfig({
  category: 'vm',
  name: 'deletionPolicy',
  description:
    'Direct: a destroyed VM is expunged at once. Delay: after expungePeriod. Never: only by ExpungeVmInstance.',
  field: choice('Policy.', ['Direct', 'Delay', 'Never']),
  defaultValue: 'Delay' as 'Direct' | 'Delay' | 'Never',
})

export const expungePeriod = defineConfig({
  category: 'vm',
  name: 'expungePeriod',
  description: 'Seconds after which a destroyed VM is expunged.',
  field: seconds(1),
  defaultValue: 604_800,
})

export const expungeInterval = defineConfig({
  category: 'vm',
  name: 'expungeInterval',
  description: 'Seconds between two searches for VMs to expunge.',
  field: seconds(1),
  defaultValue: 3600,
})

export const deleteDataVolumes = defineConfig({
  category: 'vm',
  name: 'dataVolume.deleteOnVmDestroy',
  description: 'Whether the data volumes of a VM are deleted with it; otherwise they are detached.',
  field: bool('Whether.'),
  defaultValue: false,
})

export const gracefulStop = defineConfig({
  category: 'vm',
  name: 'gracefulStop.timeout',
  description: 'Seconds a guest may take to power off before its power is cut.',
  field: seconds(0),
  defaultValue: 60,
})

export const maxDataVolumes = defineConfig({
  category: 'kvm',
  name: 'dataVolume.maxNum',
  description: 'Data volumes a VM may have.',
  field: int('Volumes.', [0, 24]),
  defaultValue: 24,
})
