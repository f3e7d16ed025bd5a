import { bool, defineResource, type Infer, int, long, optional, text, timestamp } from '#contract'
import {
  count,
  type Database,
  discard,
  find,
  insert,
  isNull,
  type Migration,
  not,
  type Tx,
  update,
  type Where,
} from '#db'

export const workflowState = { running: 'Running', rollingBack: 'RollingBack', stuck: 'Stuck' } as const

/** A workflow that has not ended; a row without a process that works on it is taken over at start. */
export const workflowRecord = defineResource({
  name: 'Workflow',
  className: 'org.zstack.core.workflow.WorkflowInventory',
  fields: {
    uuid: text('Uuid.'),
    name: text('Name of the workflow.'),
    state: text('Running, RollingBack or Stuck.'),
    taskId: optional(text('The API call it works for.')),
    nodeUuid: text('Management node that runs it.'),
    incarnation: optional(long('The run of that node.')),
    queueKeys: optional(text('JSON of the keys of the queues it runs in, outermost first.')),
    input: text('JSON.'),
    error: optional(text('JSON of what made it roll back.')),
    answers: optional(bool('What it returns is the answer of the API call it works for.')),
    createDate: timestamp('When it began.'),
  },
})

/** A step that was begun. Its own output lies in the next row's `previousOutput`, so that a step costs one insert. */
export const stepRecord = defineResource({
  name: 'WorkflowStep',
  className: 'org.zstack.core.workflow.WorkflowStepInventory',
  primaryKey: 'workflowUuid',
  fields: {
    workflowUuid: text('The workflow.'),
    seq: int('Order.'),
    name: text('Name of the step.'),
    input: text('JSON.'),
    previousOutput: optional(text('JSON output of the step before; absent when that gave nothing.')),
    undone: bool(
      'True when it was taken back; kept until the end because the row carries the output of the step before.',
    ),
    undoError: optional(text('Why its undo failed, when it did.')),
  },
})

const workflowMigration: Migration = {
  id: '0001-workflow',
  create: [
    {
      name: 'WorkflowVO',
      columns: {
        uuid: 'uuid',
        name: 'word',
        state: 'word',
        taskId: 'uuid?',
        nodeUuid: 'uuid',
        input: 'json',
        error: 'json?',
        createDate: 'time',
      },
      primaryKey: ['uuid'],
    },
    {
      name: 'WorkflowStepVO',
      columns: {
        workflowUuid: 'uuid',
        seq: 'int',
        name: 'word',
        input: 'json',
        previousOutput: 'json?',
        undone: 'boolean',
        undoError: 'json?',
      },
      primaryKey: ['workflowUuid', 'seq'],
    },
  ],
}

/** Whose a workflow is, so that another node can take it over. */
const ownerMigration: Migration = {
  id: '0030-workflow-owner',
  addColumns: { WorkflowVO: { incarnation: 'long?', queueKeys: 'json?' } },
}

/** Whether a call can be answered with what a workflow returned that was finished by another run. */
const answerMigration: Migration = {
  id: '0042-workflow-answer',
  addColumns: { WorkflowVO: { answers: 'boolean?' } },
}

export const workflowMigrations: readonly Migration[] = [workflowMigration, ownerMigration, answerMigration]

/** A run of a management node. */
export interface Owner {
  readonly nodeUuid: string
  readonly incarnation: number
}

export interface StepRow {
  readonly seq: number
  readonly name: string
  readonly input: unknown
  /** Undefined when the step was cut off, or gave nothing. */
  readonly output: unknown
}

export interface WorkflowRow {
  readonly uuid: string
  readonly name: string
  readonly state: string
  readonly taskId: string | undefined
  readonly nodeUuid: string
  readonly incarnation: number
  readonly queueKeys: readonly string[]
  readonly input: unknown
  readonly error: unknown
  readonly answers: boolean
  readonly createDate: number
}

/** The durable memory of what was begun. Every method returns when its change is on disk. */
export interface Journal {
  /** Whose workflows it begins. */
  readonly owner: Owner
  begin(workflow: NewWorkflow, step: NewStep): Promise<void>
  step(workflowUuid: string, step: NewStep): Promise<void>
  rollingBack(workflowUuid: string, error: unknown): Promise<void>
  undone(workflowUuid: string, seq: number): Promise<void>
  undoFailed(workflowUuid: string, seq: number, error: unknown): Promise<void>
  /** `also` is committed together with it. */
  stuck(workflowUuid: string, also?: (tx: Tx) => Promise<void>): Promise<void>
  /** Forgets the workflow; `also` is committed together with it. */
  end(workflowUuid: string, also?: (tx: Tx) => Promise<void>): Promise<void>
  /** Workflows of this node, oldest first. */
  unfinished(): Promise<WorkflowRow[]>
  /** Workflows of runs of nodes that are over, oldest first. */
  orphans(isAlive: (nodeUuid: string, incarnation: number) => boolean): Promise<WorkflowRow[]>
  /** Whether there is such a workflow of any node that is not stuck. */
  isUnsettled(which: { readonly uuid: string } | { readonly taskId: string }): Promise<boolean>
  /** The states of what a task has begun on any node and not ended. */
  statesOfTask(tx: Tx, taskId: string): Promise<string[]>
  /** Makes a workflow of another run this one's. False when somebody else was faster. */
  claim(row: WorkflowRow): Promise<boolean>
  steps(workflowUuid: string): Promise<StepRow[]>
}

export interface NewWorkflow {
  readonly uuid: string
  readonly name: string
  readonly taskId: string | undefined
  /** Keys of the queues it runs in, outermost first. */
  readonly queueKeys: readonly string[]
  readonly input: unknown
  /** What it returns is the answer of the API call it works for. */
  readonly answers: boolean
}

export interface NewStep {
  readonly seq: number
  readonly name: string
  readonly input: unknown
  readonly previousOutput: unknown
}

/** `owner` is read whenever a workflow begins: the run of a node is known only when it has joined. */
export function createJournal(db: Database, owner: Owner): Journal {
  // Recovery goes by age, newest first; two that begin in the same millisecond must not tie.
  let newest = 0
  const nextCreateDate = () => {
    newest = Math.max(Date.now(), newest + 1)
    return newest
  }
  const addStep = (tx: Tx, workflowUuid: string, step: NewStep) =>
    insert(tx, stepRecord, {
      workflowUuid,
      seq: step.seq,
      name: step.name,
      input: JSON.stringify(step.input ?? null),
      previousOutput: step.previousOutput === undefined ? undefined : JSON.stringify(step.previousOutput),
      undone: false,
    })
  const all = async (where: Where<Infer<typeof workflowRecord.fields>>) =>
    (await find(db, workflowRecord, where, { orderBy: ['createDate'] })).map(fromRecord)
  return {
    owner,
    begin: ({ uuid, name, taskId, queueKeys, input, answers }, step) =>
      db.write(async (tx) => {
        const { nodeUuid, incarnation } = owner
        const row = {
          ...{ uuid, name, taskId, nodeUuid, incarnation, answers },
          queueKeys: queueKeys.length === 0 ? undefined : JSON.stringify(queueKeys),
          input: JSON.stringify(input ?? null),
          createDate: nextCreateDate(),
        }
        await insert(tx, workflowRecord, { ...row, state: workflowState.running })
        await addStep(tx, uuid, step)
      }),
    step: (workflowUuid, step) => db.write((tx) => addStep(tx, workflowUuid, step)),
    rollingBack: async (uuid, error) => {
      const patch = { state: workflowState.rollingBack, error: JSON.stringify(error) }
      await db.write((tx) => update(tx, workflowRecord, { uuid }, patch))
    },
    undone: async (workflowUuid, seq) => {
      await db.write((tx) =>
        update(tx, stepRecord, { workflowUuid, seq }, { undone: true, undoError: undefined }),
      )
    },
    undoFailed: async (workflowUuid, seq, error) => {
      await db.write((tx) =>
        update(tx, stepRecord, { workflowUuid, seq }, { undoError: JSON.stringify(error) }),
      )
    },
    stuck: (uuid, also) =>
      db.write(async (tx) => {
        await update(tx, workflowRecord, { uuid }, { state: workflowState.stuck })
        await also?.(tx)
      }),
    end: (uuid, also) =>
      db.write(async (tx) => {
        await discard(tx, stepRecord, { workflowUuid: uuid })
        await discard(tx, workflowRecord, { uuid })
        await also?.(tx)
      }),
    unfinished: () => all({ nodeUuid: owner.nodeUuid }),
    orphans: async (isAlive) => (await all({})).filter((row) => !isAlive(row.nodeUuid, row.incarnation)),
    isUnsettled: async (which) =>
      (await count(db, workflowRecord, { ...which, state: not(workflowState.stuck) })) > 0,
    statesOfTask: async (tx, taskId) => (await find(tx, workflowRecord, { taskId })).map((row) => row.state),
    claim: async ({ uuid, nodeUuid, incarnation }) => {
      const was = { uuid, nodeUuid, incarnation: incarnation === UNKNOWN_RUN ? isNull : incarnation }
      const mine = { nodeUuid: owner.nodeUuid, incarnation: owner.incarnation }
      return (await db.write((tx) => update(tx, workflowRecord, was, mine))) > 0
    },
    steps: (workflowUuid) => stepsOf(db, workflowUuid),
  }
}

// Begun by a version that did not tell runs apart.
const UNKNOWN_RUN = -1

function fromRecord(row: Infer<typeof workflowRecord.fields>): WorkflowRow {
  return {
    ...row,
    taskId: row.taskId,
    incarnation: row.incarnation ?? UNKNOWN_RUN,
    queueKeys: row.queueKeys === undefined ? [] : (JSON.parse(row.queueKeys) as string[]),
    input: JSON.parse(row.input),
    error: row.error === undefined ? undefined : JSON.parse(row.error),
    answers: row.answers === true,
  }
}

async function stepsOf(db: Database, workflowUuid: string): Promise<StepRow[]> {
  const rows = await find(db, stepRecord, { workflowUuid }, { orderBy: ['seq'] })
  const outputs = new Map(rows.map((row) => [row.seq - 1, row.previousOutput]))
  return rows
    .filter((row) => !row.undone)
    .map((row) => {
      const output = outputs.get(row.seq)
      return {
        seq: row.seq,
        name: row.name,
        input: JSON.parse(row.input),
        output: output === undefined ? undefined : JSON.parse(output),
      }
    })
}

/** A journal that remembers nothing: what `bench` compares with, to tell what the journal costs. */
export function createNoJournal(db: Database): Journal {
  const nothing = async () => {}
  return {
    owner: { nodeUuid: '', incarnation: 0 },
    orphans: async () => [],
    isUnsettled: async () => false,
    statesOfTask: async () => [],
    claim: async () => false,
    begin: nothing,
    step: nothing,
    rollingBack: nothing,
    undone: nothing,
    undoFailed: nothing,
    stuck: nothing,
    end: async (_uuid, also) => {
      if (also !== undefined) await db.write(also)
    },
    unfinished: async () => [],
    steps: async () => [],
  }
}
