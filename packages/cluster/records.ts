import { defineResource, int, long, text, timestamp } from '#contract'
import { find, type Migration, type Session } from '#db'

/** A run of a management node that is in the cluster. */
export const memberRecord = defineResource({
  name: 'ClusterMember',
  className: 'org.zstack.core.cluster.ClusterMemberInventory',
  fields: {
    uuid: text('The node.'),
    incarnation: long('The run of the node: the epoch it joined at.'),
    hostName: text('Address of the node.'),
    state: text('Running or Leaving.'),
    beats: long('Counts up while the node lives.'),
    heartBeat: timestamp('When it counted last, by its own clock: for people only.'),
  },
})

/** The one row that all nodes agree on. */
export const clusterRecord = defineResource({
  name: 'ClusterEpoch',
  className: 'org.zstack.core.cluster.ClusterStateInventory',
  primaryKey: 'id',
  fields: {
    id: int('Always 1.'),
    epoch: long('Rises by one whenever a node joins, leaves or dies.'),
    turn: long('Rises by one with every commit group of any node, which puts them all in one line.'),
  },
})

export const clusterMigration: Migration = {
  id: '0029-cluster',
  create: [
    { name: 'ClusterEpochVO', columns: { id: 'int', epoch: 'long', turn: 'long' }, primaryKey: ['id'] },
    {
      name: 'ClusterMemberVO',
      columns: {
        uuid: 'uuid',
        incarnation: 'long',
        hostName: 'string',
        state: 'word',
        beats: 'long',
        heartBeat: 'time',
      },
      primaryKey: ['uuid'],
    },
  ],
}

/**
 * Runs first in every commit group: takes the group's turn, if this run of the node is still a member. It changes no row when the
 * node was declared dead, and nothing of the group is committed then.
 */
export const takeTurn =
  'UPDATE `ClusterEpochVO` SET `turn` = `turn` + 1 WHERE `id` = 1 AND EXISTS (SELECT 1 FROM `ClusterMemberVO` WHERE `uuid` = ? AND `incarnation` = ?)'

/** The nodes that are in the cluster. */
export async function memberUuids(db: Session): Promise<string[]> {
  return (await find(db, memberRecord, {})).map((row) => row.uuid)
}
