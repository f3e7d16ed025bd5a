import { CloudError, sysErrors } from '#kernel'

interface Waiting {
  readonly reject: (error: CloudError) => void
  readonly cancel: () => void
}

/** Whether a simulated machine answers. Guards the calls that wait inside it: a crash rejects them all. */
export class Power {
  readonly #owner: string
  readonly #waiting = new Set<Waiting>()
  readonly #onThaw = new Set<() => void>()
  #state: 'up' | 'frozen' | 'down' = 'up'

  /** `owner` is what errors call the machine: `host 10.0.0.1:7070`. */
  constructor(owner: string) {
    this.#owner = owner
  }

  get state(): 'up' | 'frozen' | 'down' {
    return this.#state
  }

  /** Dead at once: calls inside and calls to come reject with SYS.1016. */
  crash(): void {
    this.#state = 'down'
    this.#onThaw.clear()
    for (const { reject, cancel } of this.#waiting) {
      cancel()
      reject(this.#dead())
    }
    this.#waiting.clear()
  }

  start(): void {
    if (this.#state === 'down') this.#state = 'up'
  }

  /** No call is answered until `thaw`; those that came are served then, also when their caller has given up. */
  freeze(): void {
    if (this.#state === 'up') this.#state = 'frozen'
  }

  thaw(): void {
    if (this.#state !== 'frozen') return
    this.#state = 'up'
    for (const go of [...this.#onThaw]) go()
    this.#onThaw.clear()
  }

  /** Ends when the machine answers; rejects with SYS.1016 when it is dead. */
  async pass(): Promise<void> {
    while (this.#state === 'frozen') {
      await this.wait((go) => {
        this.#onThaw.add(go)
        return () => this.#onThaw.delete(go)
      })
    }
    if (this.#state === 'down') throw this.#dead()
  }

  /** Waits inside the machine until `begin`'s `go` is called; a crash cancels the wait and rejects it. */
  wait(begin: (go: () => void) => () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = begin(() => {
        this.#waiting.delete(entry)
        resolve()
      })
      const entry: Waiting = { reject, cancel }
      this.#waiting.add(entry)
    })
  }

  #dead(): CloudError {
    return new CloudError(sysErrors.ioError, `${this.#owner} cannot be reached: connection refused`)
  }
}
