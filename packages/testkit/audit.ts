import type { SimulatedWorld } from '#agents/simulator/world.ts'
import type { Session } from '#db'
import { auditBooks } from './audit-books.ts'
import { auditWorld } from './audit-world.ts'

/**
 * Recomputes everything that is counted or kept twice, and compares: reservations with sums, rows with rows, rows with what the
 * simulated hosts and backup storages really have. It shares no code with what it checks. Gives one sentence for each thing
 * that is wrong; call it when nothing is under way.
 */
export async function audit(db: Session, world: SimulatedWorld): Promise<string[]> {
  return [...(await auditBooks(db)), ...(await auditWorld(db, world))]
}
