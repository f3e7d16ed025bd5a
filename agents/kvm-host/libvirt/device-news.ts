export type DeviceFate = 'removed' | 'refused'

/** Remembers what guests answered when they were asked to let a device go, until somebody takes the answer. */
export class DeviceNews {
  readonly #fates = new Map<string, Map<string, DeviceFate>>()

  /** Forgets earlier news about a device, before it is asked to go. */
  expect(vmUuid: string, alias: string): void {
    this.#fates.get(vmUuid)?.delete(alias)
  }

  put(vmUuid: string, alias: string, fate: DeviceFate): void {
    const ofVm = this.#fates.get(vmUuid) ?? new Map<string, DeviceFate>()
    this.#fates.set(vmUuid, ofVm.set(alias, fate))
  }

  /** Whether the guest has answered. */
  has(vmUuid: string, alias: string): boolean {
    return this.#fates.get(vmUuid)?.has(alias) === true
  }

  /** The answer of the guest, once; undefined while there is none. */
  take(vmUuid: string, alias: string): DeviceFate | undefined {
    const fate = this.#fates.get(vmUuid)?.get(alias)
    this.#fates.get(vmUuid)?.delete(alias)
    return fate
  }

  /** Drops what is known about a VM that ended. */
  forget(vmUuid: string): void {
    this.#fates.delete(vmUuid)
  }
}
