/**
 * What a cloud of a few hosts must do, in as few words as possible: states, who is where, and sums. It shares no code with the
 * cloud. Where the cloud may choose (a host, an address) it takes the choice from the answer and judges whether it was allowed.
 */
export interface ModelVm {
  readonly uuid: string
  state: 'Running' | 'Paused' | 'Stopped' | 'Destroyed' | 'gone'
  /** Where its disks lie, and where it runs when it does. */
  host: string
  root: string
  nic: { uuid: string; ip: string } | undefined
}

export interface ModelVolume {
  readonly uuid: string
  readonly type: 'Root' | 'Data'
  readonly size: number
  status: 'NotInstantiated' | 'Ready' | 'Deleted' | 'gone'
  /** Status before its deletion. */
  was: 'NotInstantiated' | 'Ready'
  vm: string | undefined
  host: string | undefined
}

export interface Model {
  readonly vms: ModelVm[]
  readonly volumes: ModelVolume[]
  readonly hosts: readonly string[]
  /** VMs each host has CPU and memory for; all VMs are of one size. */
  readonly vmsPerHost: number
  /** Addresses VMs may have. */
  readonly addresses: number
  /** Hosts that hold a copy of the image. */
  readonly caches: Set<string>
}

export const vmShape = { cpuNum: 1, memoryBytes: 2 ** 27 }
export const imageBytes = { virtual: 2 ** 26, actual: 2 ** 24 }
export const diskBytes = 2 ** 30

/** Refused with one of these codes, or done; `learn` takes over what the cloud chose and tells what it may not have chosen. */
export type Expected =
  | { readonly refused: string }
  | { readonly learn: (inventory: Record<string, unknown>) => string | undefined }

export const refused = (code: string): Expected => ({ refused: code })
/** Done, and then `what` is as told. */
export function done<T extends object>(what?: T, patch?: Partial<T>): Expected {
  return {
    learn: () => {
      if (what !== undefined) Object.assign(what, patch)
      return undefined
    },
  }
}

export const notFound = refused('SYS.1003')
export const badArgument = refused('SYS.1007')
export const wrongVmState = refused('VM.1010')
export const noHost = refused('HOST_ALLOCATION.1000')

export const isOn = ({ state }: ModelVm): boolean => state === 'Running' || state === 'Paused'

export const vmsOn = (model: Model, host: string): number =>
  model.vms.filter((vm) => vm.host === host && isOn(vm)).length

export const hasRoom = (model: Model, host: string): boolean => vmsOn(model, host) < model.vmsPerHost

export const hasAddress = (model: Model): boolean =>
  model.vms.filter(({ nic }) => nic !== undefined).length < model.addresses

export const volumesOf = (model: Model, vm: ModelVm): ModelVolume[] =>
  model.volumes.filter((volume) => volume.vm === vm.uuid)

/** Takes over the NIC an inventory shows, which must be of an address nobody has. */
export function learnNic(model: Model, vm: ModelVm, inventory: Record<string, unknown>): string | undefined {
  const [nic] = inventory.vmNics as { uuid: string; ip: string }[]
  if (nic === undefined) return 'the VM has no NIC'
  const holder = model.vms.find((other) => other.nic?.ip === nic.ip)
  if (holder !== undefined) return `the address ${nic.ip} belongs to the VM ${holder.uuid}`
  vm.nic = { uuid: nic.uuid, ip: nic.ip }
  return undefined
}

/** Takes over the host an inventory shows, which must be one of `allowed`. */
export function learnHost(
  model: Model,
  vm: ModelVm,
  host: unknown,
  allowed: readonly string[],
): string | undefined {
  if (!allowed.includes(String(host))) return `the VM is on the host ${host}, which cannot take it`
  vm.host = String(host)
  model.caches.add(vm.host)
  for (const volume of volumesOf(model, vm)) if (volume.status !== 'NotInstantiated') volume.host = vm.host
  return undefined
}

/** What queries must show of the model, one line for each thing. */
export function expectedLines(model: Model): string[] {
  const vms = model.vms.filter(({ state }) => state !== 'gone')
  const volumes = model.volumes.filter(({ status }) => status !== 'gone')
  const stored = volumes.filter(({ host }) => host !== undefined).reduce((sum, { size }) => sum + size, 0)
  return [
    ...vms.map((vm) => `VM ${vm.uuid} ${vm.state} on ${isOn(vm) ? vm.host : 'no host'} has ${vm.nic?.ip}`),
    ...volumes.map(({ uuid, type, status, vm, size }) => `volume ${uuid} ${type} ${status} ${size} of ${vm}`),
    ...model.hosts.map((host) => {
      const free = model.vmsPerHost - vmsOn(model, host)
      return `host ${host} has ${free * vmShape.memoryBytes} bytes and ${free * vmShape.cpuNum} CPUs free`
    }),
    `the storage has promised ${stored + model.caches.size * imageBytes.actual} bytes`,
  ].sort()
}
