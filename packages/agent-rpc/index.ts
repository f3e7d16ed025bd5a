export {
  type AgentCall,
  type AgentClient,
  type AgentEvent,
  type AgentHandlers,
  type CallContext,
  type CallInput,
  type CallOptions,
  type CallOutput,
  defineAgentCall,
} from './call.ts'
