/**
 * What a test run must not leave on the machine. `lab/leak-check.ts` knows all the lab makes; without it, or beside it,
 * files in /tmp and /dev/shm and network namespaces are compared. Processes are traced file by file in run-file.ts.
 */
import { access, mkdtemp, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export type LeakCheck = { findLeaks: () => Promise<string[]> }

type LabLeakCheck = {
  snapshot: () => Promise<unknown>
  diff: (before: unknown, after: unknown) => unknown[] | Promise<unknown[]>
}

const settleMs = 2_000
const runFolderPrefix = 'zstack-test-'
const watchedFolders: [folder: string, prefix: string][] = [
  ['/tmp', 'zstack-'],
  ['/dev/shm', 'zstack-'],
  ['/run/netns', ''],
]

/** Looks at the machine now; `findLeaks` looks again and tells what came to stay. */
export async function watchForLeaks(root: string): Promise<LeakCheck> {
  const lab = await loadLabCheck(root)
  const before = await listWatched()
  const labBefore = await lab?.snapshot()
  const lookOnce = async () => {
    const appeared = [...(await listWatched())].filter((path) => !before.has(path))
    const isOrphan = await Promise.all(appeared.map(hasNoLivingOwner))
    const leaks = appeared.filter((_, index) => isOrphan[index]).map((path) => `${path} was left`)
    const labLeaks = lab ? (await lab.diff(labBefore, await lab.snapshot())).map(describeLeak) : []
    return [...leaks, ...labLeaks.filter((leak) => !isInsideRunFolder(leak))]
  }
  return { findLeaks: () => lookUntilClean(lookOnce) }
}

/** What tests leave in their own folders goes with the run. A mount there would be a leak. */
function isInsideRunFolder(leak: string): boolean {
  return leak.includes(`files: /tmp/${runFolderPrefix}`)
}

/** The kernel takes namespaces, links and cgroups down some time after their last user ended. */
async function lookUntilClean(look: () => Promise<string[]>): Promise<string[]> {
  const deadline = performance.now() + settleMs
  let leaks = await look()
  while (leaks.length > 0 && performance.now() < deadline) {
    await pause(100)
    leaks = await look()
  }
  return leaks
}

/** A folder for one run. Its name carries our pid, so that another run can tell whether this one still lives. */
export async function makeRunFolder(): Promise<string> {
  for (const folder of await listRunFolders()) {
    // A killed run could not remove its own.
    if (!(await isAlive(folder))) await rm(folder, { recursive: true, force: true })
  }
  // Short on purpose: unix socket paths inside may have no more than 107 bytes.
  return mkdtemp(`/tmp/${runFolderPrefix}${process.pid}-`)
}

/** While another run is active, what appears on the machine cannot be told from ours. */
export async function isAnotherRunActive(ownRunFolder: string): Promise<boolean> {
  const others = (await listRunFolders()).filter((folder) => folder !== ownRunFolder)
  return (await Promise.all(others.map(isAlive))).some(Boolean)
}

async function listRunFolders(): Promise<string[]> {
  const names = await listFolder('/tmp')
  return names.filter((name) => name.startsWith(runFolderPrefix)).map((name) => join('/tmp', name))
}

async function isAlive(runFolder: string): Promise<boolean> {
  const pid = basename(runFolder).slice(runFolderPrefix.length).split('-')[0]
  return exists(`/proc/${pid}/stat`)
}

/** By our custom a temporary name ends in its maker's pid. All of ours have ended by now: a living maker is someone else. */
async function hasNoLivingOwner(path: string): Promise<boolean> {
  const pid = /-(\d+)$/.exec(path)?.[1]
  return pid === undefined || !(await exists(`/proc/${pid}/stat`))
}

async function listWatched(): Promise<Set<string>> {
  const paths = await Promise.all(
    watchedFolders.map(async ([folder, prefix]) => {
      const names = await listFolder(folder)
      const isWatched = (name: string) => name.startsWith(prefix) && !name.startsWith(runFolderPrefix)
      return names.filter(isWatched).map((name) => join(folder, name))
    }),
  )
  return new Set(paths.flat())
}

async function listFolder(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

async function loadLabCheck(root: string): Promise<LabLeakCheck | undefined> {
  const path = join(root, 'lab/leak-check.ts')
  return (await exists(path)) ? await import(path) : undefined
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function describeLeak(leak: unknown): string {
  return typeof leak === 'string' ? leak : JSON.stringify(leak)
}
