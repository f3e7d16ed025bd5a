import { defineResource, text } from '#contract'
import { type Database, find, insert, type Migration, type Session } from '#db'

/** What every node of a cloud must hold a copy of; the database knows only how to recognise it. */
const keyRecord = defineResource({
  name: 'ClusterKey',
  className: 'org.zstack.core.cluster.ClusterKeyInventory',
  primaryKey: 'name',
  fields: { name: text('What it is.'), digest: text('SHA-256 of it, in hex.') },
})

export const clusterKeyMigration: Migration = {
  id: '0041-cluster-keys',
  create: [{ name: 'ClusterKeyVO', columns: { name: 'uuid', digest: 'word' }, primaryKey: ['name'] }],
}

/** Digests by name. */
export type KeyDigests = Readonly<Record<string, string>>

/** Names of those that are not the cloud's. */
export async function foreignKeys(db: Session, own: KeyDigests): Promise<string[]> {
  const known = await find(db, keyRecord, {})
  return known.filter(({ name, digest }) => own[name] !== digest).map(({ name }) => name)
}

/** Makes the keys of the first node those of the cloud; returns the names of those of another one that are not. */
export function agreeOnKeys(db: Database, own: KeyDigests): Promise<string[]> {
  return db.write(async (tx) => {
    const known = (await find(tx, keyRecord, {})).map(({ name }) => name)
    for (const [name, digest] of Object.entries(own))
      if (!known.includes(name)) await insert(tx, keyRecord, { name, digest })
    return foreignKeys(tx, own)
  })
}
