/**
 * Installs the Debian packages of the lists that are missing: one apt-get call, no question asked.
 * Packages such as libvirt and dnsmasq would start services; on the user's machine nothing may start by itself, so
 * a policy-rc.d that says no stands in for the time of the installation (an existing one is the owner's and stays).
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { findMissingPackages, type Purpose } from './debian-package-list.ts'

const policyPath = '/usr/sbin/policy-rc.d'
const policyText =
  '#!/bin/sh\n# Placed by zstack while it installs packages: nothing may start by itself.\nexit 101\n'
const aptOptions = [
  '-qq',
  '-o',
  'DPkg::Lock::Timeout=600',
  '-o',
  'Acquire::Retries=3',
  '-o',
  'Dpkg::Use-Pty=0',
]

/** Installs what is missing. Without root, or when apt fails, throws an Error that names the packages. */
export const ensureDebianPackages = async (purpose: Purpose): Promise<void> => {
  const missing = await findMissingPackages(purpose)
  if (missing.length === 0) return
  if (process.geteuid?.() !== 0) {
    throw new Error(
      `these Debian packages are missing: ${missing.join(' ')}. ` +
        `As root: apt-get install --no-install-recommends ${missing.join(' ')}. ` +
        'Without root: ./zstack up --simulator runs the whole control plane on simulated hosts',
    )
  }
  console.error(`zstack: installing ${missing.length} Debian packages: ${missing.join(' ')}`)
  mkdirSync('/run/lock', { recursive: true })
  // Two starts at once must not restore policy-rc.d under each other; the second finds nothing left to do.
  const installer = [
    process.execPath,
    import.meta.filename,
    '--locked',
    ...(purpose === 'test' ? ['--for-tests'] : []),
  ]
  await runCommand('flock', ['--close', '/run/lock/zstack-debian.lock', ...installer]).catch((cause) => {
    throw new Error(`cannot install the Debian packages ${missing.join(' ')}; the reason is above`, { cause })
  })
}

const installMissing = async (purpose: Purpose): Promise<void> => {
  const missing = await findMissingPackages(purpose)
  if (missing.length === 0) return
  forbidServiceStarts()
  try {
    const install = ['install', '--yes', '--no-install-recommends', ...missing]
    const hasIndex = await runCommand('apt-get', [...aptOptions, '--simulate', ...install], 'ignore').then(
      () => true,
      () => false,
    )
    if (!hasIndex) await updateIndex()
    // An old index names files the mirror no longer has: that shows only now, and a fresh index is the remedy.
    await runCommand('apt-get', [...aptOptions, ...install]).catch(async (error: unknown) => {
      if (!hasIndex) throw error
      await updateIndex()
      await runCommand('apt-get', [...aptOptions, ...install])
    })
  } finally {
    allowServiceStarts()
  }
  console.error('zstack: Debian packages installed')
}

const updateIndex = async (): Promise<void> => {
  console.error('zstack: updating the package index')
  await runCommand('apt-get', [...aptOptions, 'update'])
}

const forbidServiceStarts = (): void => {
  try {
    writeFileSync(policyPath, policyText, { flag: 'wx', mode: 0o755 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      allowServiceStarts()
      process.exit(1)
    })
  }
}

/** Removes our policy, also one that a killed installation left behind; somebody else's stays. */
const allowServiceStarts = (): void => {
  if (existsSync(policyPath) && readFileSync(policyPath, 'utf8') === policyText) rmSync(policyPath)
}

const runCommand = (
  command: string,
  args: string[],
  output: 'inherit' | 'ignore' = 'inherit',
): Promise<void> =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    // Progress goes to stderr: stdout belongs to the command that needed the packages.
    const stdout = output === 'inherit' ? 2 : 'ignore'
    const child = spawn(command, args, { env, stdio: ['ignore', stdout, output] })
    child.once('error', (cause) => reject(new Error(`cannot run ${command}: ${cause.message}`, { cause })))
    child.once('exit', (code, signal) => {
      if (code === 0) return resolve()
      reject(
        new Error(
          `${command} ${args.join(' ')} failed (${signal ?? `exit code ${code}`}); its output is above`,
        ),
      )
    })
  })

if (import.meta.main) {
  const { values } = parseArgs({ options: { locked: { type: 'boolean' }, 'for-tests': { type: 'boolean' } } })
  const purpose = values['for-tests'] === true ? 'test' : 'run'
  await (values.locked ? installMissing(purpose) : ensureDebianPackages(purpose)).catch((error: unknown) => {
    console.error(`zstack: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  })
}
