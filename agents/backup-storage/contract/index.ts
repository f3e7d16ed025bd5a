import { defineAgentCall } from '#agent-rpc'
import { bool, bytes, choice, list, long, optional, struct, text } from '#contract'

const imagePath = text('Path of the image, absolute and below the root.', { max: 1024 })

export const initBackupStorage = defineAgentCall({
  name: 'backup.init',
  summary: 'Makes a directory the root of this image server, creating it when absent.',
  input: {
    root: text('Absolute directory.', { max: 1024, pattern: /^\/[\w./-]+$/ }),
    storageUuid: text('Uuid of the backup storage.'),
  },
  output: { totalBytes: bytes('Size of the file system.'), availableBytes: bytes('Free for us.') },
})

export const pingBackupStorage = defineAgentCall({
  name: 'backup.ping',
  summary: 'Proves that the agent answers and its root is writable; tells the space.',
  timeoutMs: 5_000,
  input: {},
  output: {
    agentVersion: text('Hash of the running agent bundle.'),
    totalBytes: bytes('Size.'),
    availableBytes: bytes('Free.'),
  },
})

export const downloadImage = defineAgentCall({
  name: 'backup.download',
  summary:
    'Fetches an image from an http, https or file URL into the root: through the fetch gate (schemes, address ranges, redirects, size and ' +
    'time limits), then probes it in a jail and refuses what points outside itself. The final name appears only when all is well.',
  timeoutMs: 3 * 3600_000,
  input: {
    url: text('Where it is. Credentials in it are never logged.', { max: 1024, secret: true }),
    imagePath,
    expectedFormat: choice('What the user said it is; raw and iso are not probed for contents.', [
      'qcow2',
      'raw',
      'iso',
    ]),
    maxBytes: long('Refuse anything larger.'),
    allowPrivateAddresses: bool('Let http(s) URLs name private and loopback addresses.'),
    filePrefixes: list('Directories file: URLs may lie in; none when empty.', text('Absolute directory.')),
  },
  output: {
    format: choice('What it is.', ['qcow2', 'raw', 'iso']),
    virtualSizeBytes: bytes('What a guest would see.'),
    actualSizeBytes: bytes('Size of the file.'),
    sha256: text('Checksum of the file.'),
  },
})

export const deleteImage = defineAgentCall({
  name: 'backup.delete',
  summary: 'Deletes an image and the directory it leaves empty. What is not there is fine.',
  input: { imagePath },
  output: { deleted: bool('False when it was not there.') },
})

export const statImage = defineAgentCall({
  name: 'backup.stat',
  summary: 'Whether an image is there, and its size.',
  input: { imagePath },
  output: { exists: bool('Whether it is there.'), actualSizeBytes: optional(bytes('Size of the file.')) },
})

export const listImages = defineAgentCall({
  name: 'backup.list',
  summary: 'Every file below the root: what a check compares with the database.',
  input: {},
  output: {
    files: list(
      'Files.',
      struct('BackupFile', 'One file.', { path: text('Absolute.'), actualSizeBytes: bytes('Bytes.') }),
    ),
  },
})

/** Every command a backup storage agent (or its simulator) answers. Hosts read images from it by GET /images/<path>. */
export const backupStorageCalls = {
  initBackupStorage,
  pingBackupStorage,
  downloadImage,
  deleteImage,
  statImage,
  listImages,
} as const
