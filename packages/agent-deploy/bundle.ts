import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { list, map, parse, text, withDefault } from '#contract'
import { CloudError, sysErrors } from '#kernel'
import { findPackages } from './lock-file.ts'
import { createTar, type TarFile } from './tar.ts'

const compress = promisify(gzip)

/** Everything a host needs to run an agent, and what identifies it. */
export interface AgentBundle {
  readonly role: string
  /** sha256 over the archive before compression: the same sources give the same hash. */
  readonly hash: string
  /** The archive, gzipped tar. */
  readonly archive: Buffer
  readonly debianPackages: readonly string[]
  /** Programs that must run on the host beside the agent, started with `-d` where there is no systemd. */
  readonly daemons: readonly string[]
  /** The Node binary the agent runs on: this process's own. */
  readonly runtime: { readonly path: string; readonly sha256: string }
}

/** `agents/<role>/manifest.json`. */
const manifestShape = {
  sources: list('Directories of the repository the agent runs from.', text('Directory.')),
  packages: list('npm packages the agent imports; what those need follows.', text('Name.')),
  debianPackages: list('Debian packages the host must have.', text('Name.')),
  architecturePackages: withDefault(
    map('More Debian packages, by architecture (`x64`, `arm64`).', list('Packages.', text('Name.'))),
    {},
  ),
  daemons: list('Services the host must run.', text('Name.')),
}

/**
 * Builds the bundle of a role from the repository at `root`. Some 100 ms of work: callers keep the result.
 * Throws SYS.1016 when the manifest or a file it names cannot be read.
 */
export async function buildBundle(root: string, role: string): Promise<AgentBundle> {
  try {
    const manifest = await readJson(join(root, 'agents', role, 'manifest.json'))
    const { sources, packages, daemons, ...debian } = parse(manifestShape, manifest, `${role} manifest`)
    const debianPackages = [...debian.debianPackages, ...(debian.architecturePackages[process.arch] ?? [])]
    const lock = await readJson(join(root, 'package-lock.json'))
    const files = [packageJson(await readJson(join(root, 'package.json')))]
    for (const directory of sources) files.push(...(await readTree(root, directory, isSource)))
    for (const directory of findPackages(lock, packages, { os: process.platform, cpu: process.arch })) {
      files.push(...(await readTree(root, directory, isNeededOfPackage)))
    }
    const tar = createTar(files)
    const hash = createHash('sha256').update(tar).digest('hex')
    const runtime = { path: process.execPath, sha256: await runtimeHash() }
    return { role, hash, archive: await compress(tar), debianPackages, daemons, runtime }
  } catch (cause) {
    throw new CloudError(sysErrors.ioError, `cannot build the bundle of the ${role} agent from ${root}`, {
      cause,
    })
  }
}

/** Only what Node needs to run it; a new script or dependency of the server must not make a new agent. */
function packageJson(whole: Record<string, unknown>): TarFile {
  const text = JSON.stringify({ name: 'zstack-agent', type: 'module', imports: whole.imports })
  return { path: 'package.json', data: Buffer.from(text), executable: false }
}

async function readTree(
  root: string,
  directory: string,
  accept: (path: string, isDirectory: boolean) => boolean,
): Promise<TarFile[]> {
  const entries = await readdir(join(root, directory), { recursive: true, withFileTypes: true })
  const files: TarFile[] = []
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const full = join(entry.parentPath, entry.name)
    const inside = full.slice(join(root, directory).length + 1)
    const folders = inside.split('/').slice(0, -1)
    const accepted =
      accept(inside, false) && folders.every((_, i) => accept(folders.slice(0, i + 1).join('/'), true))
    if (!accepted) continue
    const executable = ((await stat(full)).mode & 0o100) !== 0
    files.push({ path: `${directory}/${inside}`, data: await readFile(full), executable })
  }
  return files
}

function isSource(path: string, isDirectory: boolean): boolean {
  return (
    isDirectory || (!/\.(test|case|e2e)\.ts$/.test(path) && !path.endsWith('.md') && !path.endsWith('.xml'))
  )
}

const UNNEEDED_FOLDERS = new Set([
  'test',
  'tests',
  'doc',
  'docs',
  'example',
  'examples',
  'benchmarks',
  'node_modules',
])

/** Leaves out what packages carry for people; packages nested inside are listed by the lock file in their own right. */
function isNeededOfPackage(path: string, isDirectory: boolean): boolean {
  if (isDirectory) return !UNNEEDED_FOLDERS.has(path) && !path.startsWith('.')
  return !/\.(md|map|d\.[cm]?ts|ts|flow)$/i.test(path) && !path.startsWith('.')
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
}

let ownHash: Promise<string> | undefined

/** Of the binary this process runs on, which stays the same while it does; 150 MB are read once. */
function runtimeHash(): Promise<string> {
  ownHash ??= sha256OfFile(process.execPath)
  return ownHash
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
  return hash.digest('hex')
}
