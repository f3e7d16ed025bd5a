import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const lists = {
  run: ['debian-packages.txt'],
  test: ['debian-packages.txt', 'debian-packages-for-tests.txt'],
} as const

/** What the packages are for: whoever runs a cloud needs no browser. */
export type Purpose = keyof typeof lists

const debianArchitectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }
const run = promisify(execFile)

/**
 * Package names of one list for one Debian architecture.
 * A line is `NAME`, or `NAME [arch arch]` for some architectures only; `#` starts a comment. Throws on any other line.
 */
export const parsePackageList = (text: string, architecture: string): string[] => {
  const names: string[] = []
  for (const line of text.split('\n')) {
    const entry = line.replace(/#.*/, '').trim()
    if (entry === '') continue
    const match = /^([a-z0-9][a-z0-9+.-]+)(?:\s+\[([a-z0-9 ]+)\])?$/.exec(entry)
    if (!match?.[1])
      throw new Error(`debian-packages.txt: cannot read the line '${line}'; write NAME or NAME [arch]`)
    if (match[2] && !match[2].split(' ').includes(architecture)) continue
    names.push(match[1])
  }
  return names
}

/** Names from the lists that dpkg does not report as installed on this machine. Throws where there is no dpkg. */
export const findMissingPackages = async (purpose: Purpose): Promise<string[]> => {
  const architecture = debianArchitectures[process.arch] ?? process.arch
  const texts = await Promise.all(
    lists[purpose].map((name) => readFile(new URL(name, import.meta.url), 'utf8')),
  )
  const wanted = texts.flatMap((text) => parsePackageList(text, architecture))
  const installed = await readInstalledPackages(wanted)
  return wanted.filter((name) => !installed.has(name))
}

const readInstalledPackages = async (names: string[]): Promise<Set<string>> => {
  const format = '--showformat=${Package} ${db:Status-Status}\n'
  const output = await run('dpkg-query', ['--show', format, ...names]).then(
    ({ stdout }) => stdout,
    (error: NodeJS.ErrnoException & { stdout?: string }) => {
      if (error.code === 'ENOENT') {
        throw new Error(
          'this machine has no dpkg: real virtual machines need Debian 12 or a derivative. ' +
            'Elsewhere, simulated hosts work: ./zstack up --simulator',
          { cause: error },
        )
      }
      // dpkg-query exits 1 when it does not know a name, and still prints the others.
      return error.stdout ?? ''
    },
  )
  const rows = output.split('\n').map((row) => row.split(' '))
  return new Set(rows.flatMap(([name, status]) => (name && status === 'installed' ? [name] : [])))
}
