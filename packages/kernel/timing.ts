/** Upper bounds of the classes durations are counted in, milliseconds. */
export const timingBoundsMs = [0.5, 1, 5, 10, 50, 100, 500, 1_000, 5_000, 30_000] as const

/**
 * How often one kind of work was done and how long it took: plain numbers, so that counting costs nothing worth telling. Read
 * by whoever shows them; they only grow.
 */
export class Timing {
  count = 0
  failures = 0
  totalMs = 0
  /** Of each class by itself; the last is what took longer than every bound. */
  readonly classes = new Float64Array(timingBoundsMs.length + 1)

  add(ms: number, hasFailed: boolean): void {
    this.count += 1
    this.totalMs += ms
    if (hasFailed) this.failures += 1
    let at = 0
    while (at < timingBoundsMs.length && ms > (timingBoundsMs[at] as number)) at += 1
    this.classes[at] = (this.classes[at] as number) + 1
  }
}

/** A Timing for each name; names are of a small, fixed set. */
export class Timings {
  readonly byName = new Map<string, Timing>()

  of(name: string): Timing {
    let timing = this.byName.get(name)
    if (timing === undefined) {
      timing = new Timing()
      this.byName.set(name, timing)
    }
    return timing
  }
}
