import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { presentInstances } from '../instance.ts'

/** `./zstack logs [-f]`: the log of the management node, newest last. */
export async function logs(argv: readonly string[]): Promise<void> {
  const files = presentInstances()
    .map(({ logFile }) => logFile)
    .filter(existsSync)
  if (files.length === 0) throw new Error('there is no log yet; start a cloud with ./zstack up')
  const follow = argv.includes('-f') ? ['-F'] : []
  const child = spawn('tail', ['-n', '200', ...follow, '--', ...files], { stdio: 'inherit' })
  await new Promise((resolve) => child.once('close', resolve))
}
