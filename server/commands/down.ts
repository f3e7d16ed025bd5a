import { createLab } from '#lab/lab.ts'
import { presentInstances, stopManagement } from '../instance.ts'
import { step } from '../progress.ts'
import { labName } from './up.ts'

/** `./zstack down`: stops everything; disks and the database stay for the next `up`. */
export async function down(): Promise<void> {
  for (const instance of presentInstances())
    await step(`stop the management node (${instance.mode})`, () => stopManagement(instance))
  if (process.getuid?.() !== 0) return
  const lab = createLab({ name: labName })
  const { hosts } = await lab.status()
  for (const { name, state } of hosts) {
    if (state !== 'off') await step(`switch off ${name}`, () => lab.host(name).crash())
  }
}
