import { rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { readIfThere, replaceFile } from './flat-state.ts'
import type { Run } from './run-command.ts'

const MAX_LOG_BYTES = 1024 * 1024
const CONFIG = 'dnsmasq.conf'

/**
 * Makes dnsmasq of the namespace run with exactly `config`: starts it when it is dead, restarts it when the text differs, else
 * leaves it alone, unless `restart` (its interface is a new one). It is a daemon of its own and outlives the agent. Returns
 * whether it was (re)started.
 */
export async function ensureDnsmasq(
  run: Run,
  where: { readonly namespace: string; readonly namespacePath: string; readonly dir: string },
  config: string,
  options: { readonly restart: boolean },
): Promise<boolean> {
  const { dir, namespacePath } = where
  const path = join(dir, CONFIG)
  const pid = await findDnsmasq(dir)
  const inPlace = pid !== undefined && (await isInside(pid, namespacePath))
  if (inPlace && !options.restart && (await readIfThere(path)) === config) return false
  await replaceFile(`${path}.check`, config)
  // The running one is stopped only when the new text is sound.
  await run(['dnsmasq', '--test', `--conf-file=${path}.check`])
  await rm(`${path}.check`, { force: true })
  await stopDnsmasq(dir)
  // One whose pid file is lost would keep the ports.
  if (pid === undefined) await killInside(run, where.namespace, 'dnsmasq')
  // The text counts as in force only once it runs: a crash in between finds no process and starts it again.
  await replaceFile(path, config)
  await keepLogShort(join(dir, 'dnsmasq.log'))
  await run(['nsenter', `--net=${namespacePath}`, 'dnsmasq', `--conf-file=${path}`])
  return true
}

/** Ends the dnsmasq of this directory and waits until it is gone. Returns whether there was one. */
export async function stopDnsmasq(dir: string): Promise<boolean> {
  const pid = await findDnsmasq(dir)
  if (pid === undefined) return false
  kill(pid, 'SIGTERM')
  try {
    await waitFor(`dnsmasq ${pid} to end`, async () => (await findDnsmasq(dir)) !== pid, {
      timeoutMs: 3000,
      intervalMs: 2,
    })
  } catch {
    // Deliberately ignored: one that does not listen is killed, and that is waited for without mercy.
    kill(pid, 'SIGKILL')
    await waitFor(`dnsmasq ${pid} to be killed`, async () => (await findDnsmasq(dir)) !== pid)
  }
  return true
}

/** Ends the processes inside a namespace of ours whose command line holds `word`; all without one. */
export async function killInside(run: Run, namespace: string, word = ''): Promise<void> {
  const { stdout } = await run(['ip', 'netns', 'pids', namespace])
  for (const pid of stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(Number)) {
    if (pid === process.pid)
      throw new CloudError(sysErrors.internal, `the agent itself is inside ${namespace}`)
    const command = await readIfThere(`/proc/${pid}/cmdline`)
    if (command === undefined || !command.includes(word)) continue
    kill(pid, 'SIGKILL')
    // An empty command line is a process that has ended and waits for its parent to notice.
    const ended = async () => ((await readIfThere(`/proc/${pid}/cmdline`)) ?? '') === ''
    await waitFor(`process ${pid} inside ${namespace} to end`, ended, { intervalMs: 2 })
  }
}

/** Pid of the living dnsmasq that was started with the configuration in `dir`. A recycled pid is not taken for it. */
async function findDnsmasq(dir: string): Promise<number | undefined> {
  const pid = Number((await readIfThere(join(dir, 'dnsmasq.pid')))?.trim())
  if (!Number.isInteger(pid) || pid <= 1) return undefined
  const command = await readIfThere(`/proc/${pid}/cmdline`)
  return command?.includes(`--conf-file=${join(dir, CONFIG)}\0`) === true ? pid : undefined
}

async function isInside(pid: number, namespacePath: string): Promise<boolean> {
  const [its, ours] = await Promise.all([stat(`/proc/${pid}/ns/net`), stat(namespacePath)])
  return its.ino === ours.ino && its.dev === ours.dev
}

async function keepLogShort(path: string): Promise<void> {
  const { size } = (await stat(path, { throwIfNoEntry: false })) ?? { size: 0 }
  if (size > MAX_LOG_BYTES) await truncate(path)
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // Already gone is what was wanted.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
