/**
 * Lets `qemu-img info` look at a file nobody trusts: without network, without rights, in namespaces of its own, seeing
 * its own libraries and that one file, read-only, under limits of memory and time.
 */
import { readFile } from 'node:fs/promises'
import { clipText, runCommand } from '#agent-files'
import { CloudError, sysErrors } from '#kernel'

export interface Probed {
  readonly virtualSizeBytes: number
}

/** Looks at `path` as `format`. SYS.1007 when the file is refused, SYS.1016 when the jail itself cannot be made. */
export type Probe = (path: string, format: 'qcow2' | 'raw', signal: AbortSignal) => Promise<Probed>

/** 64 TiB: more than any file system here holds, less than what makes tables of QEMU explode. */
const MAX_VIRTUAL_BYTES = 64 * 2 ** 40
const TIMEOUT_MS = 30_000
const LIMITS = ['--as=1073741824', '--cpu=20', '--fsize=65536', '--nofile=64', '--core=0']
const IMAGE = '/image'

/** The probe that product code uses. */
export const probeInJail: Probe = async (path, format, signal) => {
  const command = [QEMU_IMG, 'info', '--output=json', '-f', format, IMAGE]
  const args = [...LIMITS, '--', 'bwrap', ...(await jailArguments(path)), '--', ...command]
  const result = await runCommand('prlimit', args, { signal, timeoutMs: TIMEOUT_MS })
  const words = clipText(result.stderr)
  if (result.exitCode !== 0 && /^(bwrap|prlimit): /m.test(words)) {
    throw new CloudError(
      sysErrors.ioError,
      `images cannot be checked on this machine, so none is accepted: the jail for the check does not start (${words}); ` +
        'bubblewrap must be installed and the kernel must allow namespaces',
    )
  }
  if (result.timedOut) throw refused(`its headers could not be read within ${TIMEOUT_MS} ms`)
  if (result.exitCode === undefined)
    throw refused('reading its headers took more memory or time than any sound image takes')
  if (result.exitCode !== 0) throw refused(`qemu-img cannot read it as ${format}: ${words}`)
  return judgeInfo(result.stdout, format)
}

const QEMU_IMG = '/usr/bin/qemu-img'
const TRIPLET = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
// Debian keeps libraries in the first, others in the second; the loader of arm64 lies outside both.
const LIBRARIES = [`/usr/lib/${TRIPLET}`, '/usr/lib64', '/usr/lib/ld-linux-aarch64.so.1']

/** Arguments of bwrap for a jail in which `path` is seen as /image. */
export async function jailArguments(path: string): Promise<string[]> {
  return [
    '--unshare-all',
    ...(await userNamespace()),
    ...['--cap-drop', 'ALL'],
    '--die-with-parent',
    '--new-session',
    '--clearenv',
    ...['--setenv', 'LC_ALL', 'C'],
    ...LIBRARIES.flatMap((place) => ['--ro-bind-try', place, place]),
    ...['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64'],
    ...['--ro-bind', QEMU_IMG, QEMU_IMG],
    ...['--ro-bind', path, IMAGE],
    // Where qemu-img tries out which locks there are; without it every error would begin with a complaint.
    ...['--dev-bind', '/dev/null', '/dev/null'],
    ...['--chdir', '/'],
  ]
}

/** Nobody inside and no way to become somebody; where an administrator switched user namespaces off, the rest must do. */
async function userNamespace(): Promise<string[]> {
  const allowed = Number(await readFile('/proc/sys/user/max_user_namespaces', 'utf8'))
  return allowed > 0 ? ['--unshare-user', '--disable-userns', '--uid', '65534', '--gid', '65534'] : []
}

interface ImageInfo {
  readonly format?: string
  readonly 'virtual-size'?: number
  readonly 'backing-filename'?: string
  readonly 'full-backing-filename'?: string
  readonly encrypted?: boolean
  readonly 'format-specific'?: { readonly data?: Readonly<Record<string, unknown>> }
}

/** Judges what qemu-img printed: a second pair of eyes after our own header reader. */
export function judgeInfo(output: string, format: 'qcow2' | 'raw'): Probed {
  const info = parseInfo(output)
  if (info.format !== format) throw refused(`it is ${info.format}, not ${format}`)
  const backing = info['full-backing-filename'] ?? info['backing-filename']
  if (backing !== undefined) throw refused(`it is an overlay on ${JSON.stringify(backing.slice(0, 200))}`)
  const details = info['format-specific']?.data ?? {}
  if ('data-file' in details) throw refused('it keeps its data in an external data file')
  if (info.encrypted === true || 'encrypt' in details) throw refused('it is encrypted')
  if (details.corrupt === true) throw refused('it is marked as corrupt')
  const size = info['virtual-size']
  if (size === undefined || !Number.isSafeInteger(size) || size <= 0 || size > MAX_VIRTUAL_BYTES) {
    throw refused(`its virtual size is ${size} bytes; between 1 and ${MAX_VIRTUAL_BYTES} are allowed`)
  }
  return { virtualSizeBytes: size }
}

function parseInfo(output: string): ImageInfo {
  try {
    return JSON.parse(output) as ImageInfo
  } catch (error) {
    throw new CloudError(sysErrors.ioError, 'qemu-img did not print the JSON asked for', { cause: error })
  }
}

function refused(why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `the image is refused: ${why}`)
}
