import { rm } from 'node:fs/promises'
import { createLab } from '#lab/lab.ts'
import { presentInstances, stopManagement } from '../instance.ts'
import { step } from '../progress.ts'
import { labName } from './up.ts'

/** `./zstack destroy`: stops everything and removes every trace but the built guest image. */
export async function destroy(): Promise<void> {
  for (const instance of presentInstances()) {
    await step(`remove the management node (${instance.mode})`, async () => {
      await stopManagement(instance)
      await rm(instance.directory, { recursive: true, force: true })
    })
  }
  if (process.getuid?.() === 0)
    await step('remove the virtual hosts', () => createLab({ name: labName }).down())
}
