import type { ConfigDefinition } from '#contract'
import type { LaneWork } from '#kernel'
import type { PluginContext } from './plugin.ts'

/** One lane of this node. */
export interface ConfiguredLane {
  run<T>(work: LaneWork<T>): Promise<T>
}

/**
 * The lane `key` (`<kind>:<uuid>`) with a global configuration as its limit; a change holds for the next work that begins. Operators
 * see it as a queue. Each management node has its own.
 */
export function laneOf(
  { lanes, config }: Pick<PluginContext, 'lanes' | 'config'>,
  key: string,
  limit: ConfigDefinition<number>,
): ConfiguredLane {
  return { run: (work) => lanes.run(key, () => config.get(limit), work) }
}
