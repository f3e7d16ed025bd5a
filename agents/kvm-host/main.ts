import { runAgentProcess } from '#agent-rpc'
import { kvmHostCalls } from './contract/index.ts'
import { createKvmHostHandlers } from './handlers.ts'

await runAgentProcess({ role: 'kvm-host', calls: kvmHostCalls, assemble: createKvmHostHandlers })
