export { type Cluster, type ClusterOptions, createCluster } from './cluster.ts'
export type { Member, View } from './membership.ts'
export { clusterMigration, memberUuids } from './records.ts'
export { agreeOnKeys, clusterKeyMigration, foreignKeys, type KeyDigests } from './shared-keys.ts'
