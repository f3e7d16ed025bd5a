import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SimulatedWorld } from '#agents/simulator/world.ts'
import { createTestCloud, type TestCloud, type TestCloudOptions } from './cloud.ts'
import type { Allowance } from './state-lines.ts'
import { copyTestDatabase } from './test-database.ts'
import { copyWorld } from './world-copy.ts'

/** Uuids by the names a scenario gives them. */
export type Place = Readonly<Record<string, string>>

/** A state of a cloud, and the API call in it that runs workflows. */
export interface WorkflowScenario {
  readonly name: string
  /** Names of the workflows `act` runs. */
  readonly workflows: readonly string[]
  /** Prepares the state; adds to the place what `act` needs. */
  arrange?(cloud: TestCloud, place: Place): Promise<Place>
  act(cloud: TestCloud, place: Place): Promise<unknown>
  readonly allowance?: Allowance
  /** A step whose effect cannot be taken back: once it is there, a failure goes forward to the end. */
  readonly pointOfNoReturn?: string
}

/** A cloud at rest: its data, its world, and who it is. Copies of it are started as often as one likes. */
export interface Arrangement {
  readonly dir: string
  readonly nodeUuid: string
  readonly world: SimulatedWorld
  readonly place: Place
  dispose(): Promise<void>
}

/** Starts a copy of `base` (or a new cloud), lets `prepare` change it, and keeps what came of it. */
export async function arrange(
  base: Arrangement | undefined,
  prepare: (cloud: TestCloud, place: Place) => Promise<Place>,
): Promise<Arrangement> {
  const dir = await mkdtemp(join(tmpdir(), 'zstack-arranged-'))
  try {
    if (base !== undefined) await copyData(base.dir, dir)
    const data = { dir, nodeUuid: base?.nodeUuid ?? '7'.repeat(12) + '4'.repeat(20) }
    const cloud = await createTestCloud({ data, ...(base && { world: copyWorld(base.world) }) })
    try {
      await cloud.settled()
      const place = { ...base?.place, ...(await prepare(cloud, base?.place ?? {})) }
      const remove = () => rm(dir, { recursive: true, force: true })
      return { dir, nodeUuid: data.nodeUuid, world: cloud.world, place, dispose: remove }
    } finally {
      await cloud.dispose()
    }
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
}

async function copyData(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true })
  await copyTestDatabase(from, to)
}

/** A copy that may be changed. */
export async function copyArrangement(arrangement: Arrangement): Promise<Arrangement> {
  const dir = await mkdtemp(join(tmpdir(), 'zstack-arranged-'))
  await copyData(arrangement.dir, dir)
  const remove = () => rm(dir, { recursive: true, force: true })
  return { ...arrangement, dir, world: copyWorld(arrangement.world), dispose: remove }
}

/** Runs `work` in a running copy of the arrangement, and leaves nothing of it. */
export async function withCopy<T>(
  arrangement: Arrangement,
  options: Pick<TestCloudOptions, 'observe' | 'wrap'>,
  work: (cloud: TestCloud) => Promise<T>,
): Promise<T> {
  const copy = await copyArrangement(arrangement)
  try {
    const cloud = await createTestCloud({ ...options, data: copy, world: copy.world })
    try {
      await cloud.settled()
      return await work(cloud)
    } finally {
      await cloud.dispose()
    }
  } finally {
    await copy.dispose()
  }
}
