import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BOOT_SECTOR_EXIT, BOOT_SECTOR_MARK, buildBootSector } from './boot-sector.ts'
import { readBootId } from './facts.ts'

/**
 * Whether hardware acceleration works. The device file and the CPU's flags do not tell: in nested set-ups both are there
 * and the first guest hangs or dies. So a guest of one boot sector is really run. The answer holds until the next boot.
 */
export interface Acceleration {
  readonly acceleration: 'kvm' | 'tcg'
  readonly reason: string
}

export interface ProbeOptions {
  /** Where the answer is remembered, `/run/zstack`. */
  readonly runDirectory: string
  readonly kvmDevice?: string
  readonly qemu?: string
  /** How long the guest may take; a working one needs a fraction of a second. */
  readonly timeoutMs?: number
}

/** Gives the remembered answer of this boot, or finds it out. */
export async function probeAcceleration(options: ProbeOptions): Promise<Acceleration> {
  const bootId = await readBootId()
  const file = join(options.runDirectory, 'acceleration.json')
  const known = await readAnswer(file, bootId)
  if (known !== undefined) return known
  const answer = await probe(options)
  await mkdir(options.runDirectory, { recursive: true, mode: 0o755 })
  await writeFile(`${file}.new`, JSON.stringify({ bootId, ...answer }))
  await rename(`${file}.new`, file)
  return answer
}

async function readAnswer(file: string, bootId: string): Promise<Acceleration | undefined> {
  try {
    const { bootId: ofBoot, acceleration, reason } = JSON.parse(await readFile(file, 'utf8'))
    return ofBoot === bootId && (acceleration === 'kvm' || acceleration === 'tcg')
      ? { acceleration, reason: String(reason) }
      : undefined
  } catch {
    // Absent or damaged: then it is found out again.
    return undefined
  }
}

async function probe(options: ProbeOptions): Promise<Acceleration> {
  const device = options.kvmDevice ?? '/dev/kvm'
  if (!existsSync(device)) return { acceleration: 'tcg', reason: `${device} does not exist` }
  const directory = await mkdtemp(join(await ensured(options.runDirectory), 'probe-'))
  try {
    const disk = join(directory, 'boot-sector')
    await writeFile(disk, buildBootSector())
    const result = await runGuest(
      options.qemu ?? '/usr/bin/qemu-system-x86_64',
      disk,
      options.timeoutMs ?? 3000,
    )
    return judge(result)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function ensured(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  return directory
}

interface GuestResult {
  /** The exit code, or the name of the signal that ended it. */
  readonly end: number | string | null
  readonly serial: string
  readonly errors: string
  readonly timedOutMs: number | undefined
}

/** Arguments for a guest that boots `disk` under kvm and nothing else. */
export function probeArguments(disk: string): string[] {
  return [
    ...['-machine', 'pc,accel=kvm', '-cpu', 'host', '-m', '16', '-nodefaults', '-no-user-config'],
    ...['-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04'],
    ...['-drive', `file=${disk},format=raw,if=ide`],
  ]
}

/** What became of the guest, in words a person can act on. */
export function judge(result: GuestResult): Acceleration {
  if (result.end === BOOT_SECTOR_EXIT && result.serial.includes(BOOT_SECTOR_MARK))
    return { acceleration: 'kvm', reason: 'a test guest ran under kvm' }
  const said = result.errors.trim().split('\n').slice(-3).join(' ')
  const how =
    result.timedOutMs !== undefined
      ? `did not end within ${result.timedOutMs} ms`
      : `ended with ${result.end ?? 'nothing: it could not be started'}`
  return { acceleration: 'tcg', reason: `a test guest under kvm ${how}${said === '' ? '' : `: ${said}`}` }
}

function runGuest(qemu: string, disk: string, timeoutMs: number): Promise<GuestResult> {
  return new Promise((resolve) => {
    const child = spawn(qemu, probeArguments(disk), { stdio: ['ignore', 'pipe', 'pipe'] })
    const text = { serial: '', errors: '' }
    let timedOutMs: number | undefined
    const timer = setTimeout(() => {
      timedOutMs = timeoutMs
      child.kill('SIGKILL')
    }, timeoutMs)
    child.stdout.on('data', (data: Buffer) => {
      text.serial += data.toString('latin1')
    })
    child.stderr.on('data', (data: Buffer) => {
      text.errors += data.toString('utf8')
    })
    child.once('error', (error) => {
      clearTimeout(timer)
      resolve({ end: null, serial: '', errors: error.message, timedOutMs })
    })
    child.once('close', (exitCode, killedBy) => {
      clearTimeout(timer)
      resolve({ end: exitCode ?? killedBy, ...text, timedOutMs })
    })
  })
}
