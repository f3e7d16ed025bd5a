type Dependencies = Record<string, string>
export type PackageFile = { dependencies?: Dependencies; devDependencies?: Dependencies }
type LockedPackage = PackageFile & { version?: string }
export type LockFile = { packages: Record<string, LockedPackage> }

/**
 * Breaches of: every dependency is pinned to one version, has one row `| name | why | licence |` in
 * docs/dependencies.md and no row is left over, and the lock file is the one of this package.json.
 */
export function findDependencyBreaches(pack: PackageFile, lock: LockFile, documentation: string): string[] {
  const dependencies = { ...pack.dependencies, ...pack.devDependencies }
  const documented = [...documentation.matchAll(/^\| `([^`]+)` \| [^|]*\S[^|]* \| [^|]*\S[^|]* \|$/gm)]
  const documentedNames = documented.flatMap((match) => match[1] ?? [])
  return [
    ...Object.entries(dependencies).flatMap(([name, version]) => [
      ...findPinBreaches(name, version, lock.packages[`node_modules/${name}`]?.version),
      ...(documentedNames.includes(name) ? [] : [missingRow(name)]),
    ]),
    ...findLeftovers(lock, dependencies),
    ...documentedNames.filter((name) => !dependencies[name]).map(surplusRow),
  ]
}

const missingRow = (name: string) =>
  `docs/dependencies.md: no row for ${name}; add | \`${name}\` | why | licence |`
const surplusRow = (name: string) => `docs/dependencies.md: ${name} is not in package.json; drop its row`

function findPinBreaches(name: string, version: string, locked: string | undefined): string[] {
  const breaches: string[] = []
  if (!/^\d+\.\d+\.\d+([-+][\w.]+)?$/.test(version)) {
    breaches.push(`package.json: ${name} is '${version}'; pin one exact version`)
  }
  if (locked !== version) {
    breaches.push(
      `package-lock.json: holds ${locked ?? 'no'} ${name}, package.json says ${version}; run npm install`,
    )
  }
  return breaches
}

function findLeftovers(lock: LockFile, dependencies: Dependencies): string[] {
  const root = lock.packages[''] ?? {}
  const surplus = Object.keys({ ...root.dependencies, ...root.devDependencies }).filter(
    (name) => !dependencies[name],
  )
  return surplus.map((name) => `package-lock.json: still has ${name}; run npm install`)
}
