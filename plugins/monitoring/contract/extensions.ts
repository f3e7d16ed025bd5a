import type { Timing } from '#kernel'
import { defineHook } from '#plugin-host'

export type Labels = Readonly<Record<string, string>>

/** Where numbers are written when `/metrics` is asked for. Names without the prefix `zstack_`; times in milliseconds are told in seconds. */
export interface MetricSink {
  /** A number that goes up and down. */
  gauge(name: string, help: string, value: number, labels?: Labels): void
  /** A number that only grows while the process lives; the name ends in `_total`. */
  counter(name: string, help: string, value: number, labels?: Labels): void
  /** A histogram of durations; the name ends in `_seconds`. Left out while it is empty. */
  timing(name: string, help: string, timing: Timing, labels?: Labels): void
}

/**
 * Numbers a plugin has to tell. Called for each scrape, so nothing has to be kept up to date; counting itself belongs in plain
 * fields. Must not wait for hosts. One that takes longer than 2 s or fails is left out, and `zstack_scrape_incomplete` names it.
 */
export interface MetricSource {
  readonly name: string
  tell(sink: MetricSink): void | Promise<void>
}

export const metricSource = defineHook<MetricSource>('metric source')
