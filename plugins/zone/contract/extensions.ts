import { defineHook } from '#plugin-host'

/** Observes zones. */
export interface ZoneHook {
  /** Throws, naming what is left, when the zone still holds something of this plugin. */
  beforeDelete(zoneUuid: string): Promise<void>
}

export const zoneHook = defineHook<ZoneHook>('zone')
