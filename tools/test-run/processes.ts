import { readdir, readFile } from 'node:fs/promises'

export type RunningProcess = { pid: number; command: string }

/** Running processes whose start environment holds this assignment, however deep or detached. Not this process. */
export async function findProcessesWith(name: string, value: string): Promise<RunningProcess[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1 && pid !== process.pid)
  const found = await Promise.all(pids.map((pid) => describeIfMarked(pid, `${name}=${value}`)))
  return found.filter((item) => item !== undefined)
}

async function describeIfMarked(pid: number, assignment: string): Promise<RunningProcess | undefined> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
    if (!environment.split('\0').includes(assignment)) return undefined
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim()
    // A zombie has an empty command line: it is dead and only its parent can remove it.
    return command === '' ? undefined : { pid, command }
  } catch {
    // The process ended while we looked, or belongs to another user and so is not ours.
    return undefined
  }
}

/** SIGKILL to a process, or to a whole group when `pid` is negative; one that is gone already is fine. */
export function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
