import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openAuthority } from '#agent-deploy'
import { agreeOnKeys, foreignKeys, type KeyDigests } from '#cluster'
import type { Database, Session } from '#db'
import { createSecretBox } from '#kernel'

/** By name, where each lies in the data directory. */
const files = {
  'secret.key': 'secret.key',
  'agent-authority': join('agent-authority', 'ca.cert.pem'),
} as const

/** Refuses, before anything is made, a node whose keys are not those of the cloud it is to be part of. */
export async function checkSharedKeys(db: Session, dataDir: string): Promise<string[]> {
  return complain(dataDir, await foreignKeys(db, await digestsOf(dataDir)))
}

/** Makes keys where there are none, and those of the first node the cloud's. Throws when this node has others. */
export async function shareKeys(db: Database, dataDir: string): Promise<void> {
  await createSecretBox(dataDir)
  await openAuthority(dataDir)
  const [problem] = complain(dataDir, await agreeOnKeys(db, await digestsOf(dataDir)))
  if (problem !== undefined) throw new Error(problem)
}

function complain(dataDir: string, foreign: readonly string[]): string[] {
  if (foreign.length === 0) return []
  const names = foreign.join(' and ')
  return [
    `--data-dir ${dataDir} does not have the keys of this cloud (${names}): copy them there from the data directory of another management node`,
  ]
}

async function digestsOf(dataDir: string): Promise<KeyDigests> {
  const digests: Record<string, string> = {}
  for (const [name, path] of Object.entries(files)) {
    const content = await readFile(join(dataDir, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (content !== undefined) digests[name] = createHash('sha256').update(content).digest('hex')
  }
  return digests
}
