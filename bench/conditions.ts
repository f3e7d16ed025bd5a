import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { formatSize } from '#kernel'

/** What figures depend on: versions, settings, the machine and what else it was doing. */
export async function describeConditions(dir: string): Promise<Record<string, string | number>> {
  const db = new DatabaseSync(':memory:')
  const sqlite = String(db.prepare('SELECT sqlite_version() AS v').get()?.v)
  db.close()
  return {
    node: process.version,
    sqlite: `${sqlite}, journal_mode=WAL, each commit group flushed to the disk`,
    databases: `${dir} on ${await fileSystemOf(dir)}`,
    machine: `${availableParallelism()} x ${cpus()[0]?.model ?? 'CPU'}, ${formatSize(totalmem())} of memory`,
    'load average': loadavg()[0]?.toFixed(2) ?? '',
    date: new Date().toISOString(),
  }
}

/** Type and device of the file system a directory lies on. */
async function fileSystemOf(dir: string): Promise<string> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).trim().split('\n')
  const fits = mounts
    .map((line) => line.split(' '))
    .filter(([, point = '']) => point === '/' || dir === point || dir.startsWith(`${point}/`))
    .sort(([, a = ''], [, b = '']) => a.length - b.length)
  const [device, , type = 'unknown'] = fits.at(-1) ?? []
  return type === 'tmpfs' ? 'tmpfs: NOT A DISK, nothing is durable here' : `${type} (${device})`
}
