import { access, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { waitFor } from '#kernel'

/** Kills every process in the group and below at once, also a frozen one, and returns when none is left. */
export async function killGroup(path: string): Promise<void> {
  if (!(await exists(path))) return
  await writeFile(join(path, 'cgroup.kill'), '1')
  await waitFor(`the processes in ${path} to be gone`, async () => !(await isPopulated(path)), {
    timeoutMs: 10_000,
  })
}

/** Removes an empty group with the groups that libvirt or systemd made below it. */
export async function removeGroup(path: string): Promise<void> {
  if (!(await exists(path))) return
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeGroup(join(path, entry.name))
  }
  await rmdir(path)
}

export async function setFrozen(path: string, frozen: boolean): Promise<void> {
  await writeFile(join(path, 'cgroup.freeze'), frozen ? '1' : '0')
  const wanted = `frozen ${frozen ? 1 : 0}`
  const settled = async () => (await readFile(join(path, 'cgroup.events'), 'utf8')).includes(wanted)
  await waitFor(`${path} to be ${frozen ? 'frozen' : 'thawed'}`, settled, { timeoutMs: 10_000 })
}

export async function isFrozen(path: string): Promise<boolean> {
  return (await readFile(join(path, 'cgroup.freeze'), 'utf8')).trim() === '1'
}

async function isPopulated(path: string): Promise<boolean> {
  return (await readFile(join(path, 'cgroup.events'), 'utf8')).includes('populated 1')
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
