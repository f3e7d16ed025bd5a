import { clipText, runCommand } from '#agent-files'
import { CloudError, sysErrors } from '#kernel'

export type DiskFormat = 'qcow2' | 'raw'

export interface DiskInfo {
  readonly virtualSizeBytes: number
  readonly backingPath: string | undefined
  readonly backingFormat: string | undefined
}

/** Reads a disk's header as `format`; works while a guest runs on it. Never lets QEMU guess. */
export async function readDiskInfo(path: string, format: DiskFormat, signal: AbortSignal): Promise<DiskInfo> {
  const output = await qemuImg(['info', '--output=json', '--force-share', '-f', format, path], signal)
  const info = JSON.parse(output) as Record<string, unknown>
  return {
    virtualSizeBytes: Number(info['virtual-size']),
    backingPath: asText(info['full-backing-filename'] ?? info['backing-filename']),
    backingFormat: asText(info['backing-filename-format']),
  }
}

interface NewDisk {
  /** Undefined for the size of the backing file. */
  readonly sizeBytes: number | undefined
  readonly backing?: { readonly path: string; readonly format: DiskFormat }
}

/** Creates a qcow2 file at `path`, which takes space only as the guest writes. */
export async function createQcow2(path: string, disk: NewDisk, signal: AbortSignal): Promise<void> {
  const args = ['create', '-q', '-f', 'qcow2', '-o', 'compat=1.1,preallocation=off']
  if (disk.backing !== undefined) args.push('-F', disk.backing.format, '-b', disk.backing.path)
  args.push(path)
  if (disk.sizeBytes !== undefined) args.push(String(disk.sizeBytes))
  await qemuImg(args, signal)
}

async function qemuImg(args: readonly string[], signal: AbortSignal): Promise<string> {
  const result = await runCommand('qemu-img', args, { signal })
  if (result.exitCode === 0) return result.stdout
  const why = result.timedOut ? 'it did not end in time' : clipText(result.stderr)
  throw new CloudError(sysErrors.operationFailed, `qemu-img ${args[0]} of ${args.at(-1)} failed: ${why}`)
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
