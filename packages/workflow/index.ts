export {
  type AnyStep,
  defineStep,
  defineWorkflow,
  type Flow,
  type NoUndo,
  noUndo,
  type Step,
  type StepContext,
  type Workflow,
} from './define.ts'
export {
  createWorkflowEngine,
  type EngineDeps,
  type RunOptions,
  type WorkflowEngine,
  type WorkflowMoment,
  type WorkflowObserver,
} from './engine.ts'
export {
  createJournal,
  createNoJournal,
  type Journal,
  type Owner,
  type WorkflowRow,
  workflowMigrations,
  workflowRecord,
  workflowState,
} from './journal.ts'
export type { RecoveredWorkflow } from './recovery.ts'
