/** Files out of Debian packages, without installing them and without being root. */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../command.ts'
import { cacheDir } from '../config.ts'
import { LabError } from '../error.ts'

/** The package that a meta package such as linux-image-cloud-amd64 stands for at the moment. */
export async function concretePackage(metaPackage: string, prefix: string): Promise<string> {
  const { stdout } = await runCommand(['apt-cache', 'depends', '--important', metaPackage], {
    allowFailure: true,
  })
  const found = stdout.match(new RegExp(`Depends: (${prefix}\\S+)`))?.[1]
  if (found) return found
  throw new LabError(
    `apt knows no package behind ${metaPackage}; run apt-get update on this Debian machine first`,
  )
}

/**
 * Unpacks a package into `target`; the downloaded file is kept, so this works once more without a network.
 */
export async function unpackPackage(name: string, target: string): Promise<void> {
  const dir = join(cacheDir(), 'debs')
  await mkdir(dir, { recursive: true })
  const kept = await findPackage(dir, name)
  // apt's own sandbox user may not write into our directory
  if (!kept)
    await runCommand(['env', '-C', dir, 'apt-get', '-qq', '-o', 'APT::Sandbox::User=', 'download', name])
  const file = kept ?? (await findPackage(dir, name))
  if (!file) throw new LabError(`apt-get download ${name} left no file in ${dir}`)
  await mkdir(target, { recursive: true })
  await runCommand(['dpkg-deb', '--extract', join(dir, file), target])
}

async function findPackage(dir: string, name: string): Promise<string | undefined> {
  return (await readdir(dir)).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'))
}
