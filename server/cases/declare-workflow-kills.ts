import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Limiter } from '#kernel'
import {
  type Arrangement,
  arrange,
  DoomedProcesses,
  type Kill,
  killAndRecover,
  killsOf,
  referenceOf,
  type WorkflowScenario,
} from '#testkit'
import { arrangeBase } from './base-cloud.ts'

const PARALLEL_KILLS = 2

/** Kills a management process before and after each effect of each scenario, and after each undo. In two files, or one would take too long. */
export function declareWorkflowKills(workflowScenarios: readonly WorkflowScenario[]): void {
  const disposables: { dispose(): Promise<void> }[] = []
  let base: Arrangement
  let processes: DoomedProcesses
  before(async () => {
    base = await arrangeBase()
    const scenarios = fileURLToPath(new URL('./workflow-scenarios.ts', import.meta.url))
    processes = new DoomedProcesses(scenarios, PARALLEL_KILLS)
    disposables.push(base, processes)
  })
  after(async () => {
    for (const item of disposables) await item.dispose()
  })

  for (const scenario of workflowScenarios) {
    it(scenario.name, async (t) => {
      const arranged = await arrange(
        base,
        async (cloud, place) => (await scenario.arrange?.(cloud, place)) ?? {},
      )
      try {
        const reference = await referenceOf(scenario, arranged)
        const limiter = new Limiter(() => PARALLEL_KILLS)
        const kills = killsOf(scenario, arranged, reference)
        await Promise.all(
          kills.map((kill) => limiter.run(() => t.test(tell(kill), () => killAndRecover(processes, kill)))),
        )
      } finally {
        await arranged.dispose()
      }
    })
  }
}

function tell({ reference, killAt, failAt }: Kill): string {
  const { workflow = '', step = '', phase = '' } = reference.moments[failAt ?? killAt] ?? {}
  if (failAt !== undefined) return `after undo ${killAt} of ${workflow}`
  return `${killAt}: ${workflow} ${step} ${phase === 'journalled' ? 'before' : 'after'} its effect`
}
