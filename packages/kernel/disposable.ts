/** Something started that can be stopped. Whoever starts it registers it on the same line. */
export interface Disposable {
  dispose(): void | Promise<void>
}

/** Owns what was started and stops it in reverse order; every disposal is attempted, what failed is thrown. */
export class Scope implements Disposable {
  readonly #owned: Disposable[] = []

  add<T extends Disposable>(item: T): T {
    this.#owned.push(item)
    return item
  }

  onDispose(stop: () => void | Promise<void>): void {
    this.#owned.push({ dispose: stop })
  }

  async dispose(): Promise<void> {
    const failures: unknown[] = []
    for (let item = this.#owned.pop(); item !== undefined; item = this.#owned.pop()) {
      try {
        await item.dispose()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} disposals failed`)
  }
}
