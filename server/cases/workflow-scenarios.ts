import type { WorkflowScenario } from '#testkit'
import { infrastructureScenarios } from './infrastructure-scenarios.ts'
import { vmScenarios } from './vm-scenarios.ts'

/** Every registered workflow is run by at least one of these; the laws and the kills are made of them. */
export const workflowScenarios: readonly WorkflowScenario[] = [...vmScenarios, ...infrastructureScenarios]
