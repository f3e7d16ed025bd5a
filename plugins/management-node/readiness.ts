import { findOne } from '#db'
import type { PluginContext, ReadinessCheck } from '#plugin-host'
import { managementNode } from './contract/resources.ts'
import { beat } from './handlers.ts'

// Whoever asks more often is told what was found a moment ago: probes must not become load.
const FRESH_MS = 1_000

/** What else must be well for this node to serve: that it can write, and that it still counts as one of the nodes. */
export function readinessChecks(ctx: PluginContext): readonly ReadinessCheck[] {
  let found: Promise<string | undefined> | undefined
  let foundAtMs = 0
  const probe = async () => {
    await beat(ctx)
    foundAtMs = performance.now()
    return undefined
  }
  return [
    {
      name: 'database',
      check: () => {
        // One that hangs is not asked a second time meanwhile; one that failed is forgotten.
        if (found === undefined || (foundAtMs > 0 && performance.now() - foundAtMs > FRESH_MS)) {
          foundAtMs = 0
          found = probe().catch((error: unknown) => {
            found = undefined
            throw error
          })
        }
        return found
      },
    },
    {
      name: 'membership',
      check: async () => {
        ctx.cluster.requireMembership()
        if ((await findOne(ctx.db, managementNode, { uuid: ctx.node.uuid })) !== undefined) return undefined
        return 'this node is not among the management nodes: it has not joined yet, or the others took it for dead'
      },
    },
  ]
}
