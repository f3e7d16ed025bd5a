import { readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CloudError, sysErrors } from '#kernel'
import type { EpochStore } from './epoch-gate.ts'

/** The epoch as one line of a file, replaced as a whole. One writer at a time. Throws SYS.1016 when it can be neither read nor written. */
export function epochFile(path: string): EpochStore {
  return {
    load: () => load(path),
    save: async (epoch) => {
      const draft = `${path}.new`
      try {
        await writeSynced(draft, `${epoch}\n`)
        await rename(draft, path)
        await syncDirectory(dirname(path))
      } catch (cause) {
        await rm(draft, { force: true }).catch(() => undefined) // the failure above is the news
        throw new CloudError(
          sysErrors.ioError,
          `the agent cannot remember the cluster's epoch ${epoch} in ${path}, and does nothing before it has; is the disk full?`,
          { cause },
        )
      }
    },
  }
}

function load(path: string): number {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw new CloudError(sysErrors.ioError, `cannot read the cluster's epoch from ${path}`, { cause })
  }
  const epoch = /^\d{1,15}\n$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(epoch)) return epoch
  // Taking it for 0 would let in whoever was shut out.
  throw new CloudError(
    sysErrors.ioError,
    `${path} holds no epoch; deploy the agent again with its epoch forgotten`,
  )
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
