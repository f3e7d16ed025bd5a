export {
  type ApiJson,
  type ContractJson,
  describeContract,
  type InventoryJson,
  type ParameterJson,
} from './contract-json.ts'
export {
  createHttpServer,
  type HttpServer,
  type HttpServerOptions,
  type ListenTarget,
  type RawRoute,
  type UpgradeRoute,
} from './server.ts'
export { formatTime } from './time.ts'
