import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, openMariadb, openSqlite } from '#db'
import { silentLogger } from '#kernel'
import { defineStep, defineWorkflow, type Flow } from './define.ts'
import { createWorkflowEngine, type WorkflowEngine, type WorkflowObserver } from './engine.ts'
import { createJournal } from './journal.ts'
import type { RecoveredWorkflow } from './recovery.ts'

/** A workflow whose effects are files, so that they outlive a killed process; run by itself, it is killed where it is told to. */

const NAMES = ['first', 'second', 'third'] as const

const makeFile = (name: string, dir: string, fails: boolean) =>
  defineStep<{ file: string; after?: string | undefined }, string>({
    name,
    run: async ({ file, after }) => {
      if (after !== undefined && !existsSync(join(dir, after))) throw new Error(`${after} is missing`)
      writeFileSync(join(dir, file), name)
      if (fails) throw new Error(`${name} fails as it was told to`)
      return file
    },
    undo: async ({ file }) => rmSync(join(dir, file), { force: true }),
  })

export interface FileWorkflow {
  readonly engine: WorkflowEngine
  run(): Promise<unknown>
  files(): string[]
}

export function fileWorkflow(
  db: Database,
  dir: string,
  kind: string,
  options: { readonly fails?: boolean; readonly observe?: WorkflowObserver } = {},
): FileWorkflow {
  const steps = NAMES.map((name) => makeFile(name, dir, options.fails === true && name === 'third'))
  const body = async (flow: Flow) => {
    let after: string | undefined
    for (const step of steps) after = await flow.step(step, { file: `${step.name}.txt`, after })
  }
  const workflow = defineWorkflow('files', steps, body, {
    afterCrash: kind === 'resume' ? 'resume' : 'rollback',
  })
  const observe = options.observe === undefined ? {} : { observe: options.observe }
  // Each process is a run of its own.
  const journal = createJournal(db, { nodeUuid: 'node', incarnation: process.pid })
  const engine = createWorkflowEngine({ journal, log: silentLogger, ...observe })
  engine.register(workflow as never)
  return { engine, run: () => engine.run(workflow, {}), files: () => readdirSync(dir).toSorted() }
}

/** What a node does at its start with what earlier runs left. */
export async function recoverAll(engine: WorkflowEngine): Promise<RecoveredWorkflow[]> {
  const recovered: RecoveredWorkflow[] = []
  for (const orphan of await engine.orphans()) {
    const one = await engine.takeOver(orphan)
    if (one !== undefined) recovered.push(one)
  }
  return recovered
}

/** The database of the parent's `tempDatabase` in `dir`. */
function openParents(dir: string): Database {
  const server = process.env.ZSTACK_TEST_MARIADB
  if (server === undefined) return openSqlite(join(dir, 'zstack.db'))
  const [host = '', port] = server.split(':')
  const database = readFileSync(join(dir, 'mariadb-database'), 'utf8')
  return openMariadb({
    endpoints: [{ host, port: Number(port) }],
    user: 'root',
    password: '',
    database,
    poolSize: 1,
  })
}

if (import.meta.main) {
  const [data = '', dir = '', kind = '', step, phase, fails] = process.argv.slice(2)
  const observe: WorkflowObserver = (moment) => {
    if (moment.step === step && moment.phase === phase) process.kill(process.pid, 'SIGKILL')
    return undefined
  }
  await fileWorkflow(openParents(data), dir, kind, { fails: fails === 'fails', observe }).run()
}
