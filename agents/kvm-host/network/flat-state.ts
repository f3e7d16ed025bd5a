import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FlatNetwork, Lease } from './flat-network-spec.ts'

/**
 * What the last calls said about one network, on disk, so that a restarted agent can serve metadata again before the
 * management has spoken. It is no truth: the next flat.apply replaces it. One small file for each NIC, so that starting a VM on a
 * full host writes little; user data may hold secrets, so the files are root's alone.
 */
export interface FlatState {
  readonly network: FlatNetwork
  /** By MAC. */
  readonly leases: ReadonlyMap<string, Lease>
}

/** Reads the state below `dir`; undefined when there is none. */
export async function readFlatState(dir: string): Promise<FlatState | undefined> {
  const network = await readJson<FlatNetwork>(join(dir, 'network.json'))
  if (network === undefined) return undefined
  const leases = new Map<string, Lease>()
  for (const name of await listDir(join(dir, 'leases'))) {
    if (!name.endsWith('.json')) continue
    const lease = await readJson<Lease>(join(dir, 'leases', name))
    if (lease !== undefined) leases.set(lease.mac, lease)
  }
  return { network, leases }
}

/** Brings the files below `dir` from `before` to `after`, writing only what differs. Returns whether anything did. */
export async function writeFlatState(
  dir: string,
  before: FlatState | undefined,
  after: FlatState,
): Promise<boolean> {
  // Only this folder is closed to others: a mode given with `recursive` would close the parents too.
  await mkdir(dirname(dir), { recursive: true })
  await mkdir(dir, { mode: 0o700, recursive: true })
  await mkdir(join(dir, 'leases'), { recursive: true })
  let changed = false
  for (const mac of before?.leases.keys() ?? []) {
    if (after.leases.has(mac)) continue
    await rm(leaseFile(dir, mac), { force: true })
    changed = true
  }
  for (const [mac, lease] of after.leases) {
    if (sameJson(before?.leases.get(mac), lease)) continue
    await replaceFile(leaseFile(dir, mac), JSON.stringify(lease))
    changed = true
  }
  if (!sameJson(before?.network, after.network)) {
    await replaceFile(join(dir, 'network.json'), JSON.stringify(after.network))
    changed = true
  }
  return changed
}

export async function removeFlatState(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true })
}

/** Writes the whole file or nothing. Mode 600. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** Text of a file, undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Names in a directory, none when it is not there. */
export async function listDir(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function isMissing(error: unknown): boolean {
  // ESRCH is what /proc answers for a process that ends while it is read.
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')
}

/** A file cut short by a crash of the machine counts as none: the management says it again. */
async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readIfThere(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as T
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function leaseFile(dir: string, mac: string): string {
  return join(dir, 'leases', `${mac.replaceAll(':', '')}.json`)
}

function sameJson(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}
