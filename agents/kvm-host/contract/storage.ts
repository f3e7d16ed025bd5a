import { defineAgentCall } from '#agent-rpc'
import { bool, bytes, choice, list, long, optional, struct, text } from '#contract'

const path = (what: string) =>
  text(`${what} Absolute, and inside a storage root that was initialised.`, { max: 1024 })

export const initStorage = defineAgentCall({
  name: 'storage.init',
  summary:
    'Makes a directory a storage root (creating it when absent) and confines all further paths to such roots.',
  input: {
    root: text('Absolute directory.', { max: 1024, pattern: /^\/[\w./-]+$/ }),
    storageUuid: text('Uuid of the primary storage.'),
  },
  output: { totalBytes: bytes('Size of the file system.'), availableBytes: bytes('Free for us.') },
})

export const storageCapacity = defineAgentCall({
  name: 'storage.capacity',
  summary: 'Space of a storage root.',
  input: { root: path('The root.') },
  output: { totalBytes: bytes('Size of the file system.'), availableBytes: bytes('Free for us.') },
})

export const cacheImage = defineAgentCall({
  name: 'storage.cache-image',
  summary:
    'Brings an image from a backup storage agent into the image cache, checks size and sha256, and makes it read-only. ' +
    'A complete cached file is left alone; a broken or partial one never gets the final name.',
  timeoutMs: 3 * 3600_000,
  input: {
    source: struct('ImageSource', 'Where the image lies.', {
      address: text('Address of the backup storage agent.'),
      port: long('Its port.'),
      path: text('Path of the image on it.', { max: 1024 }),
    }),
    cachePath: path('Where it goes.'),
    sizeBytes: long('Size of the file.'),
    sha256: text('Checksum, 64 hex digits.', { pattern: /^[0-9a-f]{64}$/ }),
    format: choice('Format the backup storage established.', ['qcow2', 'raw', 'iso']),
  },
  output: { actualSizeBytes: bytes('Bytes the file takes on disk.') },
})

export const createVolumeFromCache = defineAgentCall({
  name: 'storage.create-from-cache',
  summary: 'Creates a qcow2 overlay on a cached image. A repeat finds it and does nothing.',
  input: {
    cachePath: path('The cached image.'),
    cacheFormat: choice('Its format.', ['qcow2', 'raw']),
    installPath: path('The new volume.'),
    sizeBytes: optional(long("Virtual size when larger than the image's.")),
  },
  output: { virtualSizeBytes: bytes('What the guest sees.'), actualSizeBytes: bytes('Bytes on disk.') },
})

export const createEmptyVolume = defineAgentCall({
  name: 'storage.create-empty',
  summary: 'Creates an empty qcow2 volume. A repeat finds it and does nothing.',
  input: { installPath: path('The new volume.'), sizeBytes: long('Virtual size.') },
  output: { virtualSizeBytes: bytes('What the guest sees.'), actualSizeBytes: bytes('Bytes on disk.') },
})

export const deletePath = defineAgentCall({
  name: 'storage.delete',
  summary: 'Deletes a file (and the empty directories it leaves up to the root). What is not there is fine.',
  input: { path: path('The file.') },
  output: { deleted: bool('False when there was nothing.') },
})

export const statVolume = defineAgentCall({
  name: 'storage.stat',
  summary: 'Sizes, format and backing file of a volume; `exists` false when it is not there.',
  input: { path: path('The volume.') },
  output: {
    exists: bool('Whether the file is there.'),
    format: optional(text('qcow2 or raw.')),
    virtualSizeBytes: optional(bytes('What the guest sees.')),
    actualSizeBytes: optional(bytes('Bytes on disk.')),
    backingPath: optional(text('The file it is an overlay of.')),
  },
})

export const listStorage = defineAgentCall({
  name: 'storage.list',
  summary: 'Every file below a root: what a check compares with the database.',
  input: { root: path('The root.') },
  output: {
    files: list(
      'Files.',
      struct('StorageFile', 'One file.', {
        path: text('Absolute.'),
        actualSizeBytes: bytes('Bytes on disk.'),
      }),
    ),
  },
})
