import { CloudError, sysErrors } from '#kernel'
import type { QueryEngine } from '#query'

/** Lets a client choose the uuid of a new resource, unless it is taken. */
export interface UuidClaims {
  /** Runs `work` while nobody else may create a resource of this uuid. Throws SYS.1007 when it is taken. */
  hold<T>(uuid: string | undefined, work: () => Promise<T>): Promise<T>
}

/**
 * Creations undo by uuid, also when it was the insert that failed: a uuid that is taken must be refused before anything is
 * begun, or the undo would remove what another call created.
 */
export function createUuidClaims(queries: QueryEngine): UuidClaims {
  const held = new Set<string>()
  const isStored = async (uuid: string): Promise<boolean> => {
    for (const resource of queries.registry.all) {
      if (resource.primaryKey !== 'uuid') continue
      if ((await queries.missing(resource, [uuid])).length === 0) return true
    }
    return false
  }
  return {
    hold: async (uuid, work) => {
      if (uuid === undefined) return work()
      if (held.has(uuid)) throw taken(uuid)
      held.add(uuid)
      try {
        if (await isStored(uuid)) throw taken(uuid)
        return await work()
      } finally {
        held.delete(uuid)
      }
    },
  }
}

function taken(uuid: string): CloudError {
  const details = `field[resourceUuid] names the uuid ${uuid}, which another resource has; choose another or leave the choice to the server`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'resourceUuid' } })
}
