import { describe } from 'node:test'
import { declareWorkflowKills } from './declare-workflow-kills.ts'
import { vmScenarios } from './vm-scenarios.ts'

describe('kill -9 at every moment of every workflow of VMs and volumes', () =>
  declareWorkflowKills(vmScenarios))
