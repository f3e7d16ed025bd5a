export { type Config, createConfig } from './config.ts'
export type { ApiReply, ApiRequest, Authenticate, Dispatcher } from './dispatcher.ts'
export { type Driver, defineDriver, defineHook, type Hook } from './extension.ts'
export { progressOf } from './forward.ts'
export { authenticator, type Cloud, type CloudOptions, createCloud } from './host.ts'
export type { JobResult, JobStatus, Jobs, ProgressEntry } from './jobs.ts'
export { type ConfiguredLane, laneOf } from './lane.ts'
export type { Meters } from './meters.ts'
export { migrationsOf, schemaLevel } from './migrations.ts'
export {
  type ApiCall,
  type ApiHandler,
  definePlugin,
  type NodeInfo,
  type Plugin,
  type PluginContext,
} from './plugin.ts'
export {
  monitorRoute,
  type ReadinessCheck,
  readinessCheck,
  type UpgradeRoute,
  upgradeRoute,
  type WebRoute,
  webRoute,
} from './web.ts'
export { SLOTS, workEntries } from './work-entries.ts'
