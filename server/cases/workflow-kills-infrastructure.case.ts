import { describe } from 'node:test'
import { declareWorkflowKills } from './declare-workflow-kills.ts'
import { infrastructureScenarios } from './infrastructure-scenarios.ts'

describe('kill -9 at every moment of every workflow of infrastructure', () =>
  declareWorkflowKills(infrastructureScenarios))
