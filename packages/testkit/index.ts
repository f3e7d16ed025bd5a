export { waitFor } from '#kernel'
export { type AuditOptions, audit, auditAt } from './audit.ts'
export { auditBooks } from './audit-books.ts'
export { createTestCloud, type TestCloud, type TestCloudOptions } from './cloud.ts'
export { buildDataCenter, type DataCenter, type DataCenterSize } from './data-center.ts'
export { assertRefused, databaseContent, type Refusal } from './expect.ts'
export { type Galera, startGalera, withoutGalera } from './galera.ts'
export {
  addItem,
  cuttingProxy,
  itemUuids,
  type MariadbPlace,
  mariadbPlace,
  openPlace,
  withoutMariadb,
} from './mariadb-place.ts'
export { startMariadbServer } from './mariadb-server.ts'
export { type BrokerPlace, type Rabbitmq, type RabbitmqOptions, startRabbitmq } from './rabbitmq-server.ts'
export { type Arrangement, arrange, type Place, type WorkflowScenario, withCopy } from './scenario.ts'
export { addIso, inventoryOf, type Shown, simulatedHost, startCloud } from './scene.ts'
export { type TempDatabase, tempDatabase, tempDir } from './temp-database.ts'
export { createTestCluster, type TestCluster, type TestNode } from './test-cluster.ts'
export { openTestDatabase, tableNames, testDialect } from './test-database.ts'
export { DoomedProcesses, type Kill, killAndRecover, killsOf } from './workflow-kills.ts'
export {
  assertFinished,
  assertSound,
  isFinished,
  type Reference,
  referenceOf,
  repeat,
  workflowLaws,
} from './workflow-laws.ts'
