export {
  type CallInput,
  type CallOptions,
  type Client,
  type ClientOptions,
  createClient,
  type QueryOptions,
  type QueryResult,
} from './client.ts'
