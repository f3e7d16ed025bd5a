import { type Database, find, findOne, insert, plus, remove, type Tx, update } from '#db'
import { newUuid } from '#kernel'
import type { Garbage } from './contract/messages.ts'
import {
  type GarbageCollector,
  garbageCollector,
  garbageStatus,
  garbageTrigger,
} from './contract/resources.ts'

const LONGEST_WAIT_MS = 3600_000
const MAX_ERROR = 2_000

/** Records a job, or renews the one of the same type and subject. */
export async function submit(tx: Tx, garbage: Garbage, firstTryMs: number): Promise<{ uuid: string }> {
  const { name, type, subject, context, sealed, hostUuid, address } = garbage
  const now = Date.now()
  const wanted = {
    name,
    context: JSON.stringify(context),
    type: hostUuid === undefined ? garbageTrigger.cycle : garbageTrigger.event,
    ...{ sealed, hostUuid, address, tries: 0, lastError: undefined },
    ...{ nextTryDate: now + firstTryMs, lastOpDate: now },
  }
  const present = await findOne(tx, garbageCollector, { runnerClass: type, subject })
  if (present !== undefined) {
    const { uuid } = present
    await update(tx, garbageCollector, { uuid }, { ...wanted, submissions: plus(1) })
    return { uuid }
  }
  const fresh = { uuid: newUuid(), runnerClass: type, subject, status: garbageStatus.idle, createDate: now }
  await insert(tx, garbageCollector, {
    ...fresh,
    ...wanted,
    managementNodeUuid: undefined,
    submissions: 1,
  })
  return { uuid: fresh.uuid }
}

export async function beginTry(tx: Tx, uuid: string, managementNodeUuid: string): Promise<void> {
  const patch = { status: garbageStatus.processing, managementNodeUuid, lastOpDate: Date.now() }
  await update(tx, garbageCollector, { uuid }, patch)
}

/** Forgets a job that is done, unless it was submitted anew meanwhile. */
export async function finish(tx: Tx, { uuid, submissions }: GarbageCollector): Promise<void> {
  if ((await remove(tx, garbageCollector, { uuid, submissions })) > 0) return
  await update(tx, garbageCollector, { uuid }, { status: garbageStatus.idle })
}

/** Keeps a job whose try failed: it waits longer each time, and is never given up. */
export async function postpone(
  tx: Tx,
  job: GarbageCollector,
  reason: string,
  intervalMs: number,
): Promise<void> {
  const now = Date.now()
  const waitMs = Math.min(intervalMs * 2 ** Math.min(job.tries, 20), LONGEST_WAIT_MS)
  const lastError = reason.length > MAX_ERROR ? `${reason.slice(0, MAX_ERROR)}…` : reason
  const patch = { status: garbageStatus.idle, tries: plus(1), lastError, lastOpDate: now }
  await update(tx, garbageCollector, { uuid: job.uuid }, { ...patch, nextTryDate: now + waitMs })
}

/** Jobs whose time has come, oldest first. One that waits longer than any may was set by a clock that went ahead. */
export async function dueJobs(db: Database): Promise<GarbageCollector[]> {
  const now = Date.now()
  const jobs = await find(db, garbageCollector, {}, { orderBy: ['createDate', 'uuid'] })
  return jobs.filter(({ nextTryDate }) => nextTryDate <= now || nextTryDate > now + 2 * LONGEST_WAIT_MS)
}

/** What waits for a machine, oldest first: what was submitted first may have to go first. */
export async function jobsOfHost(
  db: Database,
  { uuid, managementIp }: { readonly uuid: string; readonly managementIp: string },
): Promise<GarbageCollector[]> {
  const own = await find(db, garbageCollector, { hostUuid: uuid })
  const there = await find(db, garbageCollector, { address: managementIp })
  const byUuid = new Map([...own, ...there].map((job) => [job.uuid, job]))
  return [...byUuid.values()].sort((a, b) => a.createDate - b.createDate || (a.uuid < b.uuid ? -1 : 1))
}
