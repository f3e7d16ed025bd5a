export { createQueryEngine, type Inventory, type QueryEngine } from './engine.ts'
export { nearest } from './nearest.ts'
export { createRegistry, type ResourceRegistry } from './registry.ts'
export {
  type Operator,
  operators,
  parseCondition,
  type QueryCondition,
  type QueryReply,
  type QueryRequest,
} from './request.ts'
